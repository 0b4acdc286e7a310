"""Grids: split, configure, query, reduce_keys and make_unique."""

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import MissingKey, UsageError, configure, make_unique, query, reduce_keys, split


def methods():
    grid = [{"net": "lsnn"}]
    grid = split(grid, "method", ["standard", "beta"])
    grid = split(grid, "seed", [0, 1])
    return configure(grid, {"accuracy": "{acc({method},{seed})}", "acc": lambda m, s: len(m) + s})


def test_split_goes_point_by_point_and_copies_the_others_through():
    grid = split([{"a": 1}, {"a": 2}], "b", ["x", "y"], where={"a": 2})
    assert grid == [{"a": 1}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert split({"a": 1}, "a", [5, 6]) == [{"a": 5}, {"a": 6}]
    assert split([{"a": 1}], "a", range(0)) == []


def test_points_are_copied():
    original = [{"a": 1}]
    for made in (split(original, "b", [1]), configure(original, {"b": 1}), make_unique(original)):
        made[0]["a"] = 99
    assert original == [{"a": 1}]


def test_where_takes_values_predicates_templates_and_functions():
    grid = configure([{"a": 1}, {"a": 2}, {"a": 3}], {"twice": "{f({a})}", "f": lambda a: 2 * a})
    assert [p["a"] for p in query(grid, "*", where={"a": 2})] == [2]
    assert query(grid, "a", where={"a": lambda a: a > 1}) == [2, 3]
    assert query(grid, "a", where={"twice": 6}) == [3]
    assert query(grid, "a", where=lambda p: p["a"] == 1) == [1]
    with pytest.raises(MissingKey, match="has no key 'b'"):
        query(grid, "a", where={"b": 1})


def test_where_compares_arrays_and_functions():
    grid = [{"w": np.arange(3), "f": print}, {"w": np.arange(3) + 1, "f": len}]
    assert len(query(grid, "w", where={"w": np.arange(3)})) == 1
    assert query(grid, "f", where={"f": print}) == [print]


def test_query_selects():
    grid = methods()
    assert query(grid, "seed") == [0, 1, 0, 1]
    assert query(grid, "accuracy") == [8, 9, 4, 5]
    assert query(grid, ["seed", "method"])[0] == [0, 1, 0, 1]
    assert query(grid, lambda p: p["seed"] * 10) == [0, 10, 0, 10]
    assert query([], "seed") == []
    assert query(grid, "seed", where={"seed": 7}) == []


def test_query_groups_and_reduces():
    grid = methods()
    groups, results = query(grid, "accuracy", group_by="method", reduction=max)
    assert (groups, results) == (["standard", "beta"], [9, 5])
    groups, results = query(grid, "accuracy", group_by=["method", "net"], reduction={"lo": min, "hi": max})
    assert groups == [("standard", "lsnn"), ("beta", "lsnn")]
    assert results == [{"lo": 8, "hi": 9}, {"lo": 4, "hi": 5}]
    reduced = query(grid, ["accuracy", "seed"], reduction={"lo": min}, flatten_reductions=True)
    assert reduced == {"accuracy_lo": 4, "seed_lo": 0}
    look_up = query(grid, "accuracy", group_by=["method"], reduction=max, return_func=True)
    assert look_up(("beta",)) == 5
    with pytest.raises(MissingKey, match="no group"):
        look_up(("awp",))


def test_reduce_keys():
    grid = [{"m": m, "seed": s, "acc": m * 10 + s} for m in (1, 2) for s in (0, 1)]
    assert reduce_keys(grid, "acc", max, group_by="m") == [{"m": 1, "acc": 11}, {"m": 2, "acc": 21}]
    assert reduce_keys(grid, ["acc"], {"mean": lambda v: sum(v) / len(v), "min": min}, group_by=["m"]) == [
        {"m": 1, "acc_mean": 10.5, "acc_min": 10},
        {"m": 2, "acc_mean": 20.5, "acc_min": 20},
    ]
    assert reduce_keys(grid, ["acc", "seed"], max) == [
        {"m": 1, "acc": 11, "seed": 1},
        {"m": 2, "acc": 21, "seed": 1},
    ]
    assert reduce_keys(grid, ["acc", "seed"], max, where={"m": 2}) == [{"m": 2, "acc": 21, "seed": 1}]


def test_reduce_keys_groups_points_that_lack_a_key():
    grid = [{"a": 1, "x": 1}, {"a": 1, "x": 2}, {"b": 1, "x": 3}]
    assert reduce_keys(grid, "x", sum) == [{"a": 1, "x": 3}, {"b": 1, "x": 3}]


def make(n):
    return {"n": n, "f": lambda x: x + n, "w": np.arange(3), "g": print}


def test_make_unique_removes_what_is_equal_functions_and_arrays_included():
    grid = [make(1), make(2), make(1), {"n": 1.0}, {"n": 1}, {"n": True}, {"n": 1}]
    unique = make_unique(grid)
    assert len(unique) == 5
    assert unique[0] is not grid[0]
    assert [p["n"] for p in unique] == [1, 2, 1.0, 1, True]


def test_a_grid_is_a_list_and_shows_as_a_table():
    grid = split([{"a": "<b>", "f": print, "w": np.zeros((2, 3))}], "s", range(60))
    assert isinstance(grid, list)
    assert grid[:2] == list(grid)[:2]
    html = grid._repr_html_()
    assert "&lt;b&gt;" in html
    assert "print()" in html
    assert "float64[2, 3]" in html
    assert "10 more points" in html


def test_a_table_has_columns_for_what_differs_and_folds_what_does_not():
    constants = {f"setting_{n}": n for n in range(45)}
    grid = split([constants | {"w": np.zeros(3)}], "size", [0.1, 0.2])
    grid[1]["accuracy"] = 0.5
    html = grid._repr_html_()
    columns, folded = html.split("<details>")
    assert columns.startswith("<table><thead><tr><th>size</th><th>accuracy</th></tr>")
    assert "2 points, the same in all of them: 46 of 48 keys" in folded
    assert "setting_44=44, w=float64[3]" in folded
    arrays = dj.Grid([{"w": np.zeros(3), "n": 1}, {"w": np.ones(3), "n": 1}])._repr_html_()
    assert "<th>w</th>" in arrays
    assert "n=1" in arrays
    single = dj.Grid([{"a": 1}])._repr_html_()
    assert single.startswith("<details open>")
    assert "a=1" in single
    assert "0 points" in dj.Grid()._repr_html_()


def test_a_grid_prints_as_its_list_unless_that_is_long():
    assert repr(dj.Grid([{"a": 1}])) == "[{'a': 1}]"
    long = split([{f"setting_{n}": n for n in range(60)}], "seed", range(50))
    assert repr(long) == "<Grid of 50 points: seed differ; 60 keys are the same>"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: split(5, "a", [1]),
        lambda: split([1], "a", [1]),
        lambda: split([{}], "a", "text"),
        lambda: configure([{}], ["a"]),
        dj.run("text", print),
    ],
)
def test_what_is_no_grid_is_told(mistake):
    with pytest.raises(UsageError):
        mistake()


def test_a_path_is_set_where_it_is_read():
    point = {"opt": {"lr": 1.0, "name": "sgd"}, "a.b": 1}
    grid = dj.split([point], "opt.lr", [0.1, 0.2])
    assert grid == [{"opt": {"lr": lr, "name": "sgd"}, "a.b": 1} for lr in (0.1, 0.2)]
    assert point["opt"]["lr"] == 1.0
    assert dj.query(grid, "opt.lr") == [0.1, 0.2]
    assert dj.configure(grid, {"opt.lr": 0.3}, where={"opt.lr": 0.1})[0]["opt"] == {"lr": 0.3, "name": "sgd"}
    assert dj.configure([point], {"a.b": 2, "new.key": 3}) == [{**point, "a.b": 2, "new.key": 3}]


def test_a_path_is_reduced_where_it_is_read():
    grid = [{"opt": {"lr": lr, "name": "sgd"}, "seed": 0} for lr in (1.0, 3.0)]
    assert dj.reduce_keys(grid, "opt.lr", sum) == [{"opt": {"name": "sgd", "lr": 4.0}, "seed": 0}]


def test_none_is_a_value_and_not_a_missing_key():
    grid = [{"s": 0, "opt": None, "acc": 1.0}, {"s": 0, "acc": 3.0}, {"s": 0, "acc": 5.0}]
    assert dj.reduce_keys(grid, "acc", max) == [{"s": 0, "opt": None, "acc": 1.0}, {"s": 0, "acc": 5.0}]


def l1(x):
    return 1


def l2(x):
    return 0


def test_a_function_in_a_condition_equals_itself_before_it_is_a_predicate():
    grid = dj.split([{}], "loss", [l1, l2])
    assert dj.query(grid, "loss", where={"loss": l1}) == [l1]
    assert dj.query(grid, "loss", where={"loss": lambda f: f.__name__ == "l2"}) == [l2]
    assert dj.query(dj.split([{}], "b", [0, 1]), "b", where={"b": lambda b: b > 0}) == [1]


def test_a_predicate_must_return_a_bool():
    with pytest.raises(dj.UsageError, match=r"the condition on 't' returned '1' for 1"):
        dj.query(dj.split([{}], "t", [1, str]), "t", where={"t": str})
