"""Values on their way into a run and out of it: templates, text that is data, results in points."""

import pytest

import datajuicer as dj
from datajuicer import UsageError, cachable, run


def test_text_in_a_result_is_data_wherever_it_stands(tmp_path):
    @cachable()
    def nested(a):
        return {"t": "{a}", "list": ["{nokey}", ("}",)]}

    grid = run([{"a": 1}], nested, cache_dir=tmp_path, store_key="r")("{a}")
    assert dj.query(grid, "r.t") == ["{a}"]
    assert dj.query(grid, "r.list") == [["{nokey}", ("}",)]]


def test_cached_takes_text_inside_its_arguments_as_it_is(tmp_path):
    @cachable(dependencies=["m:form"])
    def formed(m):
        return m["form"]

    assert dj.cached(formed, tmp_path)({"form": "{x}"}) == "{x}"


@dj.cachable(table_name="fitted")
def fitted(lr):
    return {"lr": 99, "accuracy": lr}


@pytest.mark.parametrize("mode", ["normal", "load"])
def test_a_merged_result_overwrites_no_other_value(mode, tmp_path):
    run([{"lr": 0.1}], fitted, cache_dir=tmp_path)("{lr}")
    message = r"would overwrite 'lr': the point has 0\.1, the result 99"
    with pytest.raises(UsageError, match=message):
        run([{"lr": 0.1}], fitted, 1, mode, cache_dir=tmp_path, store_key="*")("{lr}")
    assert run([{"lr": 0.1}], fitted, cache_dir=tmp_path, store_key="fit")("{lr}")[0]["lr"] == 0.1


def test_a_merged_result_may_repeat_what_the_point_has(tmp_path):
    grid = run([{"lr": 99}], fitted, cache_dir=tmp_path, store_key="*")("{lr}")
    assert grid == run(grid, fitted, cache_dir=tmp_path, store_key="*")("{lr}")
    with pytest.raises(UsageError, match="would overwrite 'lr'"):
        run([{"lr": 99.0}], fitted, cache_dir=tmp_path, store_key="*")("{lr}")  # typed, as in keys


def test_a_result_is_put_where_a_path_is_read(tmp_path):
    point = {"net": {"width": 3}}
    (found,) = run([point], fitted, cache_dir=tmp_path, store_key="net.out")(1)
    assert found["net"].keys() == {"width", "out"}
    assert point == {"net": {"width": 3}}
    assert dj.query([found], "net.out") == [found["net"]["out"]]
    (flat,) = run([{"a": 1}], fitted, cache_dir=tmp_path, store_key="net.out")(1)
    assert flat.keys() == {"a", "net.out"}


@dj.cachable(["m:path"], table_name="path_of")
def path_of(m):
    return m["path"]


@dj.cachable(["m:opt.size"], table_name="size_of")
def size_of(m):
    return m["opt"]["size"]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_template_under_a_declared_key_reaches_the_function_as_its_value(n_threads, tmp_path):
    how = {"cache_dir": tmp_path, "progress": False}
    grid = dj.split([{"path": "run_{seed}.npz"}], "seed", [1, 2])
    for mode in ("normal", "load"):
        assert run(grid, path_of, n_threads, mode, **how)("{*}") == ["run_1.npz", "run_2.npz"]
    assert [point["path"] for point in grid] == ["run_{seed}.npz"] * 2
    nested = [{"n": 4, "opt": {"size": "{n}"}}]
    assert run(nested, size_of, n_threads, **how)("{*}") == [4]
    assert nested[0]["opt"] == {"size": "{n}"}


def test_text_that_is_no_template_stays_as_it_is(tmp_path):
    for text in ("run_1.npz", dj.Literal("run_{seed}.npz")):
        assert run([{"path": text, "seed": 1}], path_of, cache_dir=tmp_path)("{*}") == [str(text)]
    assert dj.cached(path_of, tmp_path)({"path": "run_{seed}.npz"}) == "run_{seed}.npz"
