"""Cachable functions: dependencies, keys, code changes, and mistakes that are told when the function is
defined.
"""

import pickle
import warnings

import cloudpickle
import pytest

import datajuicer as dj
from datajuicer import MissingKey, StoreWarning, UsageError, cachable


@cachable()
def decorated(a, b=2):
    """Add."""
    return a + b


def plain(model):
    return model["seed"]


first = cachable(["model:seed"], table_name="first")(plain)
second = cachable(["model:seed"], table_name="second")(plain)


def key(function, *args, **kwargs):
    return function.key(function.dependency_values(function.bind(args, kwargs)))


def test_called_directly_it_is_the_function():
    assert decorated(1) == 3
    assert decorated.__name__ == "decorated"
    assert decorated.__doc__ == "Add."


def test_one_function_under_two_names_has_two_results(tmp_path):
    grid = [{"seed": 0, "train": first}, {"seed": 0, "train": second}]
    assert dj.run(grid, "train", cache_dir=tmp_path)("{*}") == [0, 0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "second"]


@pytest.mark.parametrize("function", [decorated, first, second])
@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_they_can_be_sent_to_other_processes(function, pickler):
    back = pickle.loads(pickler.dumps(function))
    assert back == function
    assert key(back, {"seed": 1}) == key(function, {"seed": 1})


def test_the_key_does_not_depend_on_how_arguments_are_given():
    assert key(decorated, 1, 2) == key(decorated, 1) == key(decorated, b=2, a=1)
    assert key(decorated, 1, 3) != key(decorated, 3, 1)


def test_only_declared_sub_keys_count():
    assert key(first, {"seed": 0, "other": 1, "f": print}) == key(first, {"seed": 0, "g": lambda: 0})
    assert key(first, {"seed": 0}) != key(first, {"seed": 1})
    assert key(first, {"seed": 0}) != key(first, {"seed": 0.0})


def test_dependencies_reach_into_nested_dicts_and_resolve_templates():
    @cachable(["model:optimizer.lr", "model:{net}_id", "model:path"], table_name="f")
    def f(model):
        return 0

    model = {
        "optimizer": {"lr": 0.1},
        "net": "ecg",
        "ecg_id": 5,
        "path": "{mk({net})}",
        "mk": lambda n: f"/{n}",
    }
    assert f.dependency_values({"model": model}) == {
        "model:optimizer.lr": 0.1,
        "model:{net}_id": 5,
        "model:path": "/ecg",
    }


@pytest.mark.parametrize("default", ["0", "0.5", "'x'", "bare", "None", "[1, 2]"])
def test_a_dependency_with_a_default_can_be_added_without_losing_results(default):
    old = cachable(["model:seed"], table_name="f")(plain)
    new = cachable(["model:seed", f"model:added?={default}"], table_name="f")(plain)
    value = {"0": 0, "0.5": 0.5, "'x'": "x", "bare": "bare", "None": None, "[1, 2]": [1, 2]}[default]
    assert key(new, {"seed": 1}) == key(old, {"seed": 1})
    assert key(new, {"seed": 1, "added": value}) == key(old, {"seed": 1})
    assert key(new, {"seed": 1, "added": "other"}) != key(old, {"seed": 1})


def test_a_default_is_typed():
    new = cachable(["model:seed", "model:added?=1"], table_name="f")(plain)
    assert key(new, {"seed": 1, "added": 1}) != key(new, {"seed": 1, "added": 1.0})
    assert key(new, {"seed": 1, "added": 1}) != key(new, {"seed": 1, "added": True})


def test_job_is_never_a_dependency():
    @cachable()
    def with_job(a, job):
        return a

    assert [d.text for d in with_job.dependencies] == ["a"]
    assert with_job.takes_job
    with pytest.raises(UsageError, match="no parameter 'job'"):
        cachable(["job"])(with_job.function)


def test_star_arguments_are_dependencies_too():
    @cachable(table_name="f")
    def f(*args, **kwargs):
        return 0

    assert key(f, 1, x=2) != key(f, 1, x=3) != key(f, 2, x=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cachable(saver=print), "saver needs a loader"),
        (lambda: cachable(loader=print), "loader a saver"),
        (lambda: cachable(saver="pickle", loader=print), "go together"),
        (lambda: cachable(group=print), "batched"),
        (lambda: cachable(on_code_change="often"), "'warn', 'recompute' or 'ignore'"),
        (lambda: cachable("model"), r"must be a list, such as \['model'\]"),
        (lambda: cachable(["model:"])(plain), "not of the form"),
        (lambda: cachable(["model seed"])(plain), "not of the form"),
        (lambda: cachable(["net:seed"])(plain), r"no parameter 'net'.*its parameters: model"),
        (lambda: cachable()(lambda x: x), "no name for a function"),
        (lambda: cachable(table_name="../up")(plain), "no name for a function"),
        (lambda: cachable(table_name="quarantine")(plain), "no name for a function"),
        (lambda: cachable()(decorated), "cachable already"),
    ],
)
def test_mistakes_are_told_when_the_function_is_defined(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"a": 2}), ((1,), {"c": 2}), ((), {"b": 1})]
)
def test_arguments_that_do_not_fit_are_told(args, kwargs):
    with pytest.raises(UsageError, match="decorated cannot be called so"):
        decorated.bind(args, kwargs)


def test_a_missing_key_names_the_point_and_the_keys(tmp_path):
    grid = [{"seed": 0}, {"sead": 1}]
    with pytest.raises(
        MissingKey, match=r"point 1 \(sead=1\).*'model:seed'.*did you mean 'sead'.*its keys: sead"
    ):
        dj.run(grid, first, cache_dir=tmp_path)("{*}")
    assert not any(tmp_path.iterdir())
    with pytest.raises(UsageError, match="of type int, not a dict"):
        dj.run([{}], first, cache_dir=tmp_path)(5)


def define(source, tmp_path, **options):
    """A cachable function out of source text that inspect can find again."""
    path = tmp_path / f"code_{abs(hash(source))}.py"
    path.write_text(source)
    namespace = {"__name__": "code"}
    exec(compile(source, str(path), "exec"), namespace)
    return cachable(table_name="f", **options)(namespace["f"])


BEFORE = 'def f(n):\n    """Old words."""\n    return [n]  # a comment\n'
SAME = "def f(n):\n    return [\n        n\n    ]\n"
AFTER = "def f(n):\n    return [n, n]\n"


def test_a_change_of_comments_or_layout_is_no_change_of_code(tmp_path):
    dj.run([{}], define(BEFORE, tmp_path), cache_dir=tmp_path / "s")(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dj.run([{}], define(SAME, tmp_path), cache_dir=tmp_path / "s")(1) == [[1]]


def test_changed_code_warns_once_recomputes_or_is_ignored(tmp_path):
    grid = dj.split([{}], "n", range(3))

    def run(source, **options):
        return dj.run(grid, define(source, tmp_path, **options), cache_dir=tmp_path / "s")("{n}")

    old = run(BEFORE)
    with pytest.warns(StoreWarning, match="source of f has changed") as caught:
        assert run(AFTER) == old
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(AFTER, on_code_change="ignore") == old
        assert run(AFTER, version=2) == [[n, n] for n in range(3)]
        assert run(AFTER, on_code_change="recompute") == [[n, n] for n in range(3)]
        assert run(AFTER) == [[n, n] for n in range(3)]
    replaced = list((tmp_path / "s").glob("f/??/*/replaced-*.json"))
    assert len(replaced) == 3  # nothing is deleted


def test_cached_binds_a_function_to_a_store(tmp_path):
    calls = []

    @cachable(table_name="f")
    def f(a, b=0):
        calls.append(a)
        if a == "bad":
            raise ZeroDivisionError("by zero")
        return {"{a}": a}

    cached = dj.cached(f, tmp_path)
    assert cached("{not a template}") == {"{a}": "{not a template}"}
    assert cached("{not a template}", b=0) == {"{a}": "{not a template}"}
    assert calls == ["{not a template}"]
    with pytest.raises(ZeroDivisionError):
        cached("bad")
    with pytest.raises(ZeroDivisionError):
        cached("bad")
    assert calls.count("bad") == 1


def test_encoders_make_foreign_types_keyable(tmp_path):
    class Foreign:
        def __init__(self, x):
            self.x = x

    Foreign.__qualname__ = "Foreign"

    @cachable(encoders={Foreign: lambda value: value.x}, table_name="f")
    def f(value):
        return value.x

    assert dj.run([{}], f, cache_dir=tmp_path)(Foreign(1)) == [1]
    assert dj.run([{}], f, run_mode="load", cache_dir=tmp_path)(Foreign(1)) == [1]
    with pytest.raises(dj.MissingResults):
        dj.run([{}], f, run_mode="load", cache_dir=tmp_path)(Foreign(2))
