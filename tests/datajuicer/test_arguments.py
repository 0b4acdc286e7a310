"""Arguments: a call that changes them changes no other point, no grid and no record."""

import random
from collections import OrderedDict
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer.running.arguments import LARGE, Copier


@dj.cachable(table_name="walk")
def walk(x, step):
    x += step
    return x.copy()


@dj.cachable(table_name="halve")
def halve(model):
    model["opt"]["lr"] *= 0.5
    return model["opt"]["lr"]


@pytest.mark.parametrize("size", [1, LARGE // 8 + 1])  # a plain copy and a mapping
@pytest.mark.parametrize("workers", [1, 2])
def test_an_array_that_a_call_changes_stays_as_it_is_for_the_other_points(tmp_path, workers, size):
    start = np.zeros(size)
    grid = dj.split([{"x": start}], "step", [1, 2, 3])
    for mode in ("normal", "load"):
        values = dj.run(grid, walk, workers, mode, cache_dir=tmp_path, progress=False)("{x}", "{step}")
        assert [(value[0], value[-1]) for value in values] == [(1, 1), (2, 2), (3, 3)]
    assert not start.any()
    for record in dj.Store(tmp_path).records("walk"):
        described = record["dependencies"]["x"]
        assert described == dj.Store(tmp_path).read("walk", record["key"])["dependencies"]["x"]
        assert "$arraydigest" in described or described["$dataclass"][1] == [0.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_nested_settings_that_a_call_changes_stay_as_they_are(tmp_path, workers):
    points = dj.split([{"opt": {"lr": 1.0}}], "seed", [0, 1, 2])
    assert dj.run(points, halve, workers, cache_dir=tmp_path, progress=False)("{*}") == [0.5, 0.5, 0.5]
    assert points[0]["opt"] == {"lr": 1.0}
    assert {r["dependencies"]["model"]["opt"]["lr"] for r in dj.Store(tmp_path).records("halve")} == {1.0}


def test_points_of_one_batch_do_not_share_what_a_call_changes(tmp_path):
    def step(x, step):
        x += step
        return x.copy()

    def steps(x, step):
        return [one.__iadd__(size).copy() for one, size in zip(x, step, strict=True)]

    batched = dj.cachable(table_name="step", batched=steps)(step)
    grid = dj.split([{"x": np.zeros(1)}], "step", [1, 2, 3])
    values = dj.run(grid, batched, cache_dir=tmp_path, batch=3)("{x}", "{step}")
    assert [float(value[0]) for value in values] == [1, 2, 3]


def test_functions_that_are_not_cachable_do_not_change_points_either():
    grid = [{"layers": [1]}, {"layers": [2]}]

    def grow(layers):
        layers.append(0)
        return len(layers)

    assert dj.run(grid, grow)("{layers}") == [2, 2]
    assert grid == [{"layers": [1]}, {"layers": [2]}]


class Model:
    def __init__(self, weight):
        self.weight = weight

    def __datajuicer_key__(self):
        return ("model", self.weight)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_object_that_cannot_be_copied_and_was_changed_fails_the_point(tmp_path, workers):
    @dj.cachable(table_name="train")
    def train(model, by):
        model.weight += by
        return model.weight

    with pytest.raises(dj.RunError, match="train changes its argument model") as raised:
        dj.run([{"model": Model(1)}], train, workers, cache_dir=tmp_path, progress=False)("{model}", 1)
    assert not raised.value.failures[0].recorded
    assert dj.run([{"model": Model(1)}], train, workers, cache_dir=tmp_path, progress=False)(
        "{model}", 0
    ) == [1]


def test_what_is_not_changed_is_computed_with_equal_arguments_of_the_same_types():
    @dataclass
    class Options:
        layers: list = field(default_factory=list)

    frozen = make_dataclass("Frozen", ["size"], frozen=True)(3)
    weights = np.asfortranarray(np.ones((2, 3), np.float32))
    shared = [1]
    values = {
        "ordered": OrderedDict(b=1, a=[2]),
        "options": Options([1]),
        "frozen": frozen,
        "weights": weights,
        "pair": (shared, shared),
        "random": random.Random(1),
        "path": Path("x"),
        "set": {1, 2},
        "model": Model(1),
    }
    values["itself"] = values
    _, new = Copier().copy((), values)
    assert list(new) == list(values)
    assert list(new["ordered"].items()) == [("b", 1), ("a", [2])]
    assert type(new["ordered"]) is OrderedDict
    assert new["ordered"]["a"] is not values["ordered"]["a"]
    assert new["options"] == values["options"]
    assert new["options"].layers is not values["options"].layers
    assert new["weights"].strides == weights.strides
    assert new["pair"][0] is new["pair"][1]
    assert new["pair"][0] is not shared
    assert new["random"].random() == values["random"].random()
    for name in ("frozen", "path", "model"):  # what nothing can change, and what is not ours to copy
        assert new[name] is values[name]
    assert new["itself"]["itself"] is new["itself"]


def test_a_mapped_array_equals_the_array_whatever_its_layout():
    arrays = [
        np.arange(400_000, dtype="<f8").reshape(500, 800).T,
        np.arange(400_000, dtype="<f8")[::2].repeat(2).view(">f8"),
        np.zeros((300_000,), "datetime64[s]"),
        np.ones((200_000, 3), bool),
    ]
    copier = Copier(arrays)
    for array in arrays:
        ((first,), _), ((second,), _) = copier.copy((array,), {}), copier.copy((array,), {})
        assert (first.dtype, first.shape) == (array.dtype, array.shape)
        first[0] = first[-1]
        assert np.array_equal(second, array)
