"""What a key omits stands in the record: defaults, enum values, state beyond fields."""

import enum
from collections import namedtuple
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

import datajuicer as dj
from datajuicer.keys import result_key


def body(m):
    return m["lr"] + m["beta"]


old = dj.cachable(["m:lr", "m:beta?=0.0"], table_name="f")(body)
new = dj.cachable(["m:lr", "m:beta?=0.5"], table_name="f")(body)


def of(beta, lr=1.0):
    return [{"lr": lr, "beta": beta}]


def only_record(store, function="f"):
    (record,) = dj.Store(store).records(function)
    return record


def test_another_default_is_no_hit_and_joins_the_key(tmp_path):
    assert dj.run(of(0.0), old, cache_dir=tmp_path)("{*}") == [1.0]
    assert only_record(tmp_path)["omitted"] == {"defaults": {"m:beta": 0.0}}
    assert dj.missing(of(0.5), new, cache_dir=tmp_path)("{*}") == of(0.5)
    assert dj.run(of(0.5), new, cache_dir=tmp_path)("{*}") == [1.5]
    for function, beta, result in ((old, 0.0, 1.0), (new, 0.5, 1.5), (old, 0.5, 1.5)):
        assert dj.run(of(beta), function, cache_dir=tmp_path, run_mode="load")("{*}") == [result]
    keys = {record["key"] for record in dj.Store(tmp_path).records("f")}
    assert result_key("f", None, {"m:lr": 1.0, "m:beta": 0.5}) in keys


def test_both_defaults_in_one_grid(tmp_path):
    grid = [{**of(0.0)[0], "f": old}, {**of(0.5)[0], "f": new}]
    assert dj.run(grid, "f", cache_dir=tmp_path)("{*}") == [1.0, 1.5]
    assert dj.run(grid[::-1], "f", cache_dir=tmp_path, run_mode="load")("{*}") == [1.5, 1.0]


def test_a_default_of_another_type_is_another_default(tmp_path):
    whole = dj.cachable(["m:lr", "m:beta?=0"], table_name="f")(body)
    dj.run(of(0.0), old, cache_dir=tmp_path)("{*}")
    assert len(dj.missing(of(0), whole, cache_dir=tmp_path)("{*}")) == 1


def test_a_dependency_that_is_added_later_changes_no_key(tmp_path):
    dj.run(of(0.0), old, cache_dir=tmp_path)("{*}")
    added = dj.cachable(["m:lr", "m:beta?=0.0", "m:noise?=0.1"], table_name="f")(body)
    for point in (of(0.0), [{**of(0.0)[0], "noise": 0.1}]):
        assert dj.run(point, added, cache_dir=tmp_path, run_mode="load")("{*}") == [1.0]
    assert len(dj.missing([{**of(0.0)[0], "noise": 0.2}], added, cache_dir=tmp_path)("{*}")) == 1


def without_field(store):
    """Rewrite the record as earlier versions wrote it."""
    record = only_record(store)
    del record["omitted"]
    dj.Store(store).write(record, replace=True)


def test_a_record_that_names_none_has_the_present_defaults(tmp_path):
    dj.run(of(0.0), old, cache_dir=tmp_path)("{*}")
    without_field(tmp_path)
    assert dj.run(of(0.0), old, cache_dir=tmp_path, run_mode="load")("{*}") == [1.0]


def test_a_record_that_names_none_has_the_earlier_defaults_where_they_are_declared(tmp_path):
    dj.run(of(0.0), old, cache_dir=tmp_path)("{*}")
    without_field(tmp_path)
    declared = ["m:beta?=0.0"]
    same, other = (
        dj.cachable(["m:lr", f"m:beta?={d}"], table_name="f", earlier_defaults=declared)(body)
        for d in ("0.0", "0.5")
    )
    assert dj.run(of(0.0), same, cache_dir=tmp_path, run_mode="load")("{*}") == [1.0]
    assert dj.run(of(0.5), other, cache_dir=tmp_path)("{*}") == [1.5]


def test_an_explicit_value_is_never_taken_for_a_default(tmp_path):
    assert dj.run(of(0.25), old, cache_dir=tmp_path)("{*}") == [1.25]
    assert only_record(tmp_path)["dependencies"] == {"m:lr": 1.0, "m:beta": 0.25}
    assert only_record(tmp_path)["omitted"] == {}


def net(value):
    return enum.Enum("Net", {"SMALL": value}, module=__name__, qualname="Net").SMALL


def test_an_enum_of_another_value_is_another_setting(tmp_path):
    @dj.cachable(table_name="width")
    def width(net):
        return net.value

    assert dj.run([{"n": net(8)}], width, cache_dir=tmp_path)("{n}") == [8]
    assert dj.run([{"n": net(64)}], width, cache_dir=tmp_path)("{n}") == [64]
    assert dj.run([{"n": net(8)}, {"n": net(64)}], width, cache_dir=tmp_path, run_mode="load")("{n}") == [
        8,
        64,
    ]
    assert len(dj.make_unique([{"n": net(8)}, {"n": net(64)}, {"n": net(8)}])) == 2


@dataclass
class Sgd:
    lr: float


class Momentum(Sgd):
    def __init__(self, lr, beta):
        super().__init__(lr)
        self.beta = beta


class Conf(dict):
    pass


class Pair(namedtuple("Pair", "a b")):
    pass


def with_state(value, **state):
    vars(value).update(state)
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Momentum(1.0, 0.0), Momentum(1.0, 0.5)),
        (Conf(x=1), with_state(Conf(x=1), strict=True)),
        (with_state(Conf(x=1), strict=True), Conf(x=1)),
        (Pair(1, 2), with_state(Pair(1, 2), c=3)),
        (with_state(Conf(x=1), day=date(2026, 1, 1)), with_state(Conf(x=1), day=date(2026, 1, 2))),
        (with_state(Conf(x=1), rate=Decimal("0.1")), with_state(Conf(x=1), rate=Decimal("0.2"))),
        (with_state(Conf(x=1), span=range(3)), with_state(Conf(x=1), span=range(4))),
        (with_state(Conf(x=1), type=np.dtype("f4")), with_state(Conf(x=1), type=np.dtype("f8"))),
    ],
    ids=["dataclass", "dict", "dict, state first", "named tuple", "date", "decimal", "range", "dtype"],
)
def test_state_that_a_subclass_adds_tells_results_apart(one, other, tmp_path):
    calls = []

    @dj.cachable(table_name="state_of")
    def state_of(value):
        calls.append(value)
        return len(calls)

    grid = dj.split([{}], "v", [one, other, one])
    assert dj.run(grid, state_of, cache_dir=tmp_path)("{v}") == [1, 2, 1]
    assert dj.run(grid[1:2], state_of, cache_dir=tmp_path)("{v}") == [2]


def test_a_large_value_that_many_points_share_keeps_what_its_key_omits(tmp_path):
    @dj.cachable(table_name="total")
    def total(values, n):
        return values[0]["scale"] * n

    for scale in (2, 3):
        large = [with_state(Conf(x=1, scale=1), scale_of=scale)] * 600  # encoded once per plan
        grid = dj.split([{"values": large}], "n", [1, 2, 3])
        assert dj.run(grid, total, cache_dir=tmp_path)("{values}", "{n}") == [1, 2, 3]
    records = list(dj.Store(tmp_path).records("total"))
    assert len(records) == 6  # two states, three points
    assert all(len(record["omitted"]["values"]) == 600 for record in records)
