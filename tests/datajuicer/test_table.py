"""Tables: axes, cells, deviations, LaTeX, data frames."""

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import Table, UsageError, latex, to_dataframe

DEFAULT = {"beta": 0.0, "noise": 0.0}


def results():
    grid = dj.split([DEFAULT], "beta", [0.0, 0.25])
    grid += [{"beta": 0.25, "noise": 0.3}]
    grid = dj.split(dj.split(grid, "level", [0.3, 0.1]), "net", ["ecg"])
    return [{**p, "mean": 90 + 10 * p["beta"] - 100 * p["level"], "min": p["noise"]} for p in grid]


def test_axes_are_sorted_and_cells_hold_lists():
    table = Table(results(), ["level", "beta"], ["mean", "min"])
    assert table.shape() == (2, 2, 2)
    assert table.get_label(0) == "level"
    assert [table.get_label(0, i) for i in range(2)] == ["0.1", "0.3"]
    assert table.get_val(0, 0, 0) == [80.0]
    assert table.get_val(0, 1, 1) == [0.0, 0.3]
    assert table.get_label(2, 1) == "min"
    with pytest.raises(UsageError, match="3 indices"):
        table.get_val(0, 0)


def test_an_empty_cell_is_none():
    table = Table([{"a": 1, "b": 1, "v": 5}, {"a": 2, "b": 2, "v": 6}], ["a", "b"], ["v"])
    assert table.get_val(0, 1, 0) is None


def test_the_deviation_axis_names_points():
    labels = {"beta": "β", "β = 0.25": "Beta"}
    axis = Table.Deviation_Var(DEFAULT)
    table = Table(results(), [axis], ["mean"], labels, order={"Method": ["Standard", "Beta"]})
    assert table.get_label(0) == "Method"
    names = [table.get_label(0, i) for i in range(3)]
    assert names == ["Standard", "Beta", "β = 0.25, noise = 0.3"]


def test_order_takes_values_or_labels_on_every_axis():
    labels = {0.3: "strong"}
    table = Table(results(), ["level", "beta"], ["mean"], labels, order={"level": ["strong"], "beta": [0.25]})
    assert table.axes[0].values == (0.3, 0.1)
    assert table.axes[1].values == (0.25, 0.0)


def test_dim_pads_and_merges():
    assert Table(results(), ["level"], ["mean"], dim=4).shape() == (1, 1, 2, 1)
    table = Table(results(), ["net", "level", "beta"], ["mean"], dim=3)
    assert table.shape() == (2, 2, 1)
    assert table.get_label(0, 0) == "ecg, 0.1"
    assert table.get_val(0, 0, 0) == [80.0]
    with pytest.raises(UsageError, match="at least 2"):
        Table(results(), ["level"], ["mean"], dim=1)


def test_the_label_dict_is_left_alone():
    labels = {"a": "b"}
    Table(results(), ["level"], ["mean"], labels, dim=4)
    assert labels == {"a": "b"}


def test_latex_marks_the_best_and_escapes():
    grid = [
        {"net": "ecg_lsnn", "method": m, "level": x, "mean": mean}
        for m, x, mean in [("A", 0.1, 90), ("B", 0.1, 95.123), ("A", 0.3, 70)]
    ]
    text = latex(grid, ["net", "method", "level"], ["mean"], bold_order=[max], decimals=1)
    assert r"\textbf{ecg\_lsnn}" in text
    assert r"0.1 & 90.0 & \textbf{95.1} \\" in text
    assert r"0.3 & \textbf{70.0} & -- \\" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert text.count("{") == text.count("}")


def test_latex_asks_for_reduction():
    grid = [{"m": 1, "v": 1}, {"m": 1, "v": 2}]
    with pytest.raises(UsageError, match=r"2 points fall into the cell.*reduce_keys"):
        latex(grid, ["m"], ["v"])


@dj.cachable()
def square(x, y=0):
    return {"square": x * x, "array": np.zeros((2, x)), "list": [1, {"a": (2,)}]}


@dj.cachable()
def text(x):
    return f"<{x}>"


def test_data_frames(tmp_path):
    grid = dj.split([{}], "x", [1, 2, 3])
    assert list(to_dataframe(grid)["x"]) == [1, 2, 3]
    dj.run(grid, square, cache_dir=tmp_path)("{x}")
    frame = to_dataframe(tmp_path / "square").sort_values("x")
    assert list(frame["x"]) == [1, 2, 3]
    assert list(frame["value.square"]) == [1, 4, 9]
    assert list(frame["value.array"]) == ["float64[2, 1]", "float64[2, 2]", "float64[2, 3]"]
    assert frame["value.list"].iloc[0] == [1, {"a": (2,)}]
    assert set(frame.columns) >= {"key", "started", "seconds", "y"}
    dj.run(grid, text, cache_dir=tmp_path)("{x}")
    assert sorted(to_dataframe(tmp_path / "text")["value"]) == ["<1>", "<2>", "<3>"]
    with pytest.raises(UsageError, match="there is no folder"):
        to_dataframe(tmp_path / "nothing")


def test_a_result_that_lacks_an_entry_leaves_a_gap(tmp_path):
    @dj.cachable(table_name="gaps")
    def gaps(x):
        return {"even": x} if x % 2 == 0 else {"odd": x}

    dj.run(dj.split([{}], "x", range(4)), gaps, cache_dir=tmp_path)("{x}")
    frame = to_dataframe(tmp_path / "gaps")
    assert frame["value.even"].count() == frame["value.odd"].count() == 2


def test_a_data_frame_of_results_of_every_kind(tmp_path):
    @dj.cachable()
    def collide(key, value, seconds):
        return {"params": {"w": np.zeros((3, 4))}, "pair": (1, np.ones(2))}

    @dj.cachable(saver="pickle", loader="pickle")
    def pickled(a):
        return object

    tmp_path.chmod(0o755)
    dj.run([{}], collide, cache_dir=tmp_path)(5, 7, 30)
    frame = dj.to_dataframe(tmp_path / "collide")
    row = frame.iloc[0]
    assert (row["dependency.key"], row["dependency.value"], row["dependency.seconds"]) == (5, 7, 30)
    assert row["value.params"] == {"w": "float64[3, 4]"}
    assert row["value.pair"] == (1, "float64[2]")
    assert len(row["key"]) == 40
    dj.run([{"a": 1}], pickled, cache_dir=tmp_path, store_key="r")("{a}")
    assert dj.to_dataframe(tmp_path / "pickled").iloc[0]["value"] == "value.pickle"


def of_default(default, declared=()):
    def f(m):
        return m["lr"] + m.get("beta", 0.0)

    dependencies = ["m:lr", f"m:beta?={default}"]
    return dj.cachable(dependencies, table_name="f", earlier_defaults=declared)(f)


def test_a_data_frame_shows_the_default_that_was_used(tmp_path):
    for default in (0.0, 0.5):
        grid = dj.split([{"beta": default}], "lr", [1.0, 2.0])
        dj.run(grid, of_default(default), cache_dir=tmp_path)("{*}")
    dj.run([{"lr": 1.0, "beta": 0.25}], of_default(0.0), cache_dir=tmp_path)("{*}")
    frame = to_dataframe(tmp_path / "f")
    assert frame.groupby("m:beta")["value"].apply(sorted).to_dict() == {
        0.0: [1.0, 2.0],
        0.25: [1.25],
        0.5: [1.5, 2.5],
    }


def test_a_data_frame_shows_the_declared_default_of_records_that_name_none(tmp_path):
    dj.run([{"lr": 1.0, "beta": 0.0}, {"lr": 1.0, "beta": 3.0}], of_default(0.0), cache_dir=tmp_path)("{*}")
    store = dj.Store(tmp_path)
    for record in list(store.records("f")):
        del record["omitted"]
        store.write(record, replace=True)
    function = of_default(0.5, ["m:beta?=0.0"])  # the present default is another one
    assert sorted(to_dataframe(tmp_path / "f", function)["m:beta"]) == [0.0, 3.0]
    assert to_dataframe(tmp_path / "f")["m:beta"].count() == 1  # nothing is known of the other


def test_a_data_frame_says_what_and_where_it_was_made(tmp_path):
    dj.run([{}], square, cache_dir=tmp_path)(2)
    (row,) = to_dataframe(tmp_path / "square").to_dict("records")
    (record,) = dj.Store(tmp_path).records("square")
    for name in ("version", "host", "commit"):
        assert row[name] == record.get(name)
    assert row["code"]


def test_a_data_frame_takes_a_function_or_nothing(tmp_path):
    dj.run([{}], square, cache_dir=tmp_path)(2)
    with pytest.raises(UsageError, match="is not cachable"):
        to_dataframe(tmp_path / "square", len)
