"""Several points of a group in one call of a function's batched form."""

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import RunError, cachable, run, split

GRID = split([{}], "n", [3, 1, 2])


class Batched:
    def __init__(self):
        self.sizes = []

        def one(model, shift=0):
            return self.compute(model["width"], model["seed"] + shift)

        def many(model, shift):
            self.sizes.append(len(model))
            if any(m["seed"] == "bad" for m in model):
                raise ValueError("the whole batch fails")
            results = [self.compute(m["width"], m["seed"] + s) for m, s in zip(model, shift, strict=True)]
            return [
                ValueError("planted") if m["seed"] == 5 else r for m, r in zip(model, results, strict=True)
            ]

        self.f = cachable(
            ["model:width", "model:seed", "shift"],
            table_name="f",
            batched=many,
            group=lambda model, shift: model["width"],
        )(one)

    @staticmethod
    def compute(width, seed):
        return {"w": np.full(width, seed, dtype=float)}


def test_a_batch_stores_each_result_as_if_computed_alone(tmp_path):
    b = Batched()
    grid = split(split([{}], "width", [2, 3]), "seed", range(4))
    alone = run(grid, b.f, cache_dir=tmp_path / "alone")("{*}")
    together = run(grid, b.f, cache_dir=tmp_path / "together", batch=3)("{*}")
    assert b.sizes == [3, 3]  # a rest of one is computed alone
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one["w"], other["w"])
    names = [
        sorted(p.relative_to(tmp_path / d).as_posix() for p in (tmp_path / d).rglob("*"))
        for d in ("alone", "together")
    ]
    assert names[0] == names[1]
    run(grid, b.f, cache_dir=tmp_path / "together", batch=3)("{*}")
    assert b.sizes == [3, 3]


def test_a_failing_element_of_a_batch_fails_alone(tmp_path):
    b = Batched()
    with pytest.raises(RunError, match="planted") as caught:
        run(split([{"width": 1}], "seed", [4, 5, 6]), b.f, cache_dir=tmp_path, batch=8)("{*}")
    assert b.sizes == [3]
    assert [r is None for r in caught.value.results] == [False, True, False]


def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(tmp_path):
    b = Batched()
    with pytest.raises(RunError) as caught:
        run(split([{"width": 1}], "seed", [4, "bad", 6]), b.f, cache_dir=tmp_path, batch=8)("{*}")
    assert [r is None for r in caught.value.results] == [False, True, False]
    assert caught.value.failures[0].error.startswith("TypeError")


def test_jobs_of_a_batch_are_a_list(tmp_path):
    def many(n, job):
        for one, value in zip(job, n, strict=True):
            one.note(n=value)
        return list(n)

    f = cachable(["n"], table_name="f", batched=many)(lambda n, job: n)
    assert run(GRID, f, cache_dir=tmp_path, batch=3)("{n}") == [3, 1, 2]
    assert sorted(r["notes"]["n"] for r in dj.Store(tmp_path).records("f")) == [1, 2, 3]


# -- other executors
# ------------------------------------------------------------------------------------------------
