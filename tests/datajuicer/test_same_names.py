"""Functions of one name: two different ones never share a result, in one run or across runs."""

import functools
import sys
from dataclasses import dataclass

import pytest

import datajuicer as dj
from datajuicer import UsageError

RAN = []


def make(k):
    @dj.cachable()
    def scaled(x):
        RAN.append((k, x))
        return k * x

    return scaled


class Model:
    def __init__(self, w):
        self.w = w

    def predict(self, x):
        RAN.append((self.w, x))
        return self.w * x

    @dj.cachable()
    def method(self, x):
        RAN.append((self.w, x))
        return self.w * x

    @dj.cachable(table_name="named_method")
    def named(self, x):
        return self.w * x

    @classmethod
    @dj.cachable()
    def of_class(cls, x):
        return (cls.__name__, x)

    @staticmethod
    @dj.cachable()
    def alone(x):
        return -x


class Larger(Model):
    pass


@dataclass(frozen=True)
class Frozen:
    w: float

    @dj.cachable()
    def apply(self, x):
        return self.w * x


@dj.cachable()
def plain(x):
    RAN.append(("plain", x))
    return x + 1


def add(a, b):
    return a + b


@pytest.fixture(autouse=True)
def forget():
    RAN.clear()


def both(one, other, store, *args):
    """Results of two functions: in one run, again from the store, and each alone in a store of its own."""
    first = dj.run([{"f": one}, {"f": other}], "f", cache_dir=store)(*args)
    again = dj.run([{"f": one}, {"f": other}], "f", cache_dir=store, run_mode="load")(*args)
    swapped = dj.run([{"f": other}, {"f": one}], "f", cache_dir=store, run_mode="load")(*args)
    assert first == again == swapped[::-1]
    alone = [dj.run([{}], f, cache_dir=store.with_name("alone"))(*args)[0] for f in (one, other, one, other)]
    assert alone == first * 2
    return first


def test_closures_of_a_factory(tmp_path):
    assert both(make(2), make(3), tmp_path / "s", 10) == [20, 30]
    assert RAN == [(2, 10), (3, 10)] * 2


def test_the_closure_of_another_process_is_a_hit(tmp_path):
    assert dj.run([{}], make(2), cache_dir=tmp_path)(10) == [20]
    assert dj.run([{}], make(2), cache_dir=tmp_path)(10) == [20]
    assert dj.run([{}], make(2), 2, cache_dir=tmp_path, progress=False)(10) == [20]
    assert RAN == [(2, 10)]


def test_a_closure_over_a_list_that_it_fills_stays_itself(tmp_path):
    calls = []

    @dj.cachable()
    def counted(x):
        calls.append(x)
        return len(calls)

    assert [dj.run([{}], counted, cache_dir=tmp_path)(5) for _ in range(3)] == [[1], [1], [1]]


def test_a_closure_over_a_function_is_known_by_what_that_holds(tmp_path):
    def outer(k):
        def inner(x):
            return k * x

        @dj.cachable()
        def applied(x):
            return inner(x)

        return applied

    assert both(outer(2), outer(3), tmp_path / "s", 10) == [20, 30]


def test_a_variable_of_a_closure_that_changes_makes_another_function(tmp_path):
    k = 1

    @dj.cachable()
    def late(x):
        return k * x

    assert dj.run([{}], late, cache_dir=tmp_path)(10) == [10]
    k = 2
    assert dj.run([{}], late, cache_dir=tmp_path)(10) == [20]


def test_bound_methods_of_two_objects(tmp_path):
    one, other = (dj.cachable()(Model(w).predict) for w in (1, 7))
    assert both(one, other, tmp_path / "s", 10) == [10, 70]
    assert dj.run([{}], dj.cachable()(Model(7).predict), cache_dir=tmp_path / "s", run_mode="load")(10) == [
        70
    ]


def test_partials_of_one_function(tmp_path):
    one, other = (dj.cachable()(functools.partial(add, n)) for n in (1, 2))
    assert both(one, other, tmp_path / "s", 10) == [11, 12]


def test_decorated_methods_bind_and_key_their_object(tmp_path):
    assert Model(2).method(10) == 20
    assert both(Model(2).method, Model(3).method, tmp_path / "s", 10) == [20, 30]
    assert dj.run([{}], Model(2).method, 2, cache_dir=tmp_path / "s", progress=False)(10) == [20]
    assert dj.cached(Frozen(2.0).apply, tmp_path / "t")(10) == 20.0
    assert dj.run([{"x": 3}], Frozen(2.0).apply, 2, cache_dir=tmp_path / "t", progress=False)("{x}") == [6.0]


def test_a_method_of_a_subclass_is_another_function(tmp_path):
    assert both(Model(2).method, Larger(2).method, tmp_path / "s", 10) == [20, 20]
    assert len(RAN) == 4


def test_a_table_name_does_not_take_the_object_out_of_the_key(tmp_path):
    assert dj.run([{}], Model(2).named, cache_dir=tmp_path)(10) == [20]
    assert dj.run([{}], Model(3).named, cache_dir=tmp_path)(10) == [30]


def test_class_methods_and_static_methods(tmp_path):
    assert both(Model.of_class, Larger.of_class, tmp_path / "s", 1) == [("Model", 1), ("Larger", 1)]
    assert dj.run([{}], Model(1).alone, cache_dir=tmp_path)(1) == [-1]
    for kind in (classmethod, staticmethod):
        with pytest.raises(UsageError, match=f"put @{kind.__name__} above"):
            dj.cachable()(kind(add))


def module(tmp_path, name, body, folder=""):
    """Import a module from a folder, as a script there would be."""
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    (place / f"{name}.py").write_text(
        f"import datajuicer as dj\n@dj.cachable()\ndef score(x): return {body}\n"
    )
    sys.modules.pop(name, None)
    sys.path.insert(0, str(place))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(place))


def test_functions_of_one_name_in_two_modules(tmp_path):
    one, other = module(tmp_path, "names_a", "x + 1"), module(tmp_path, "names_b", "x * 100")
    assert both(one.score, other.score, tmp_path / "s", 3) == [4, 300]


def test_functions_of_one_name_in_two_scripts_of_one_name(tmp_path):
    store = tmp_path / "store"
    for folder, body, result in (("a", "x + 1", 4), ("b", "x * 100", 300), ("a", "x + 1", 4)):
        script = module(tmp_path, "names_script", body, folder)
        assert dj.run([{}], script.score, cache_dir=store)(3) == [result]


def test_a_script_that_moved_or_was_copied_keeps_its_results(tmp_path):
    store = tmp_path / "store"
    dj.run([{}], module(tmp_path, "names_moving", "x + 1", "a").score, cache_dir=store)(3)
    copy = module(tmp_path, "names_moving", "x + 1", "b")
    assert dj.run([{}], copy.score, cache_dir=store, run_mode="load")(3) == [4]
    (tmp_path / "a" / "names_moving.py").unlink()
    edited = module(tmp_path, "names_moving", "x  +  1", "b")
    assert dj.run([{}], edited.score, cache_dir=store, run_mode="load")(3) == [4]


def test_a_table_name_carries_results_over_when_a_function_moves(tmp_path):
    old = module(tmp_path, "names_old", "x + 1")
    dj.run([{}], old.score, cache_dir=tmp_path / "s")(3)
    moved = dj.cachable(table_name="score")(module(tmp_path, "names_new", "x + 1").score.function)
    assert dj.run([{}], moved, cache_dir=tmp_path / "s", run_mode="load")(3) == [4]


def test_a_record_that_names_no_function_is_a_hit(tmp_path):
    """As those of users from before functions were named."""
    dj.run([{}], plain, cache_dir=tmp_path)(1)
    store = dj.Store(tmp_path)
    (record,) = store.records("plain")
    assert record["omitted"]["function"]["name"].endswith("test_same_names:plain")
    del record["omitted"]
    store.write(record, replace=True)
    assert dj.run([{}], plain, cache_dir=tmp_path, run_mode="load")(1) == [2]
    assert str(dj.status([{}], plain, cache_dir=tmp_path)(1)).startswith("1 done")


def test_a_failure_of_another_function_is_not_mine(tmp_path):
    one, other = module(tmp_path, "names_fails", "x / 0"), module(tmp_path, "names_works", "x")
    with pytest.raises(dj.RunError):
        dj.run([{}], one.score, cache_dir=tmp_path / "s")(3)
    assert dj.run([{}], other.score, cache_dir=tmp_path / "s")(3) == [3]
    assert str(dj.status([{}], one.score, cache_dir=tmp_path / "s")(3)).startswith("0 done, 1 failed")


def test_status_missing_and_explain_see_whose_result_it_is(tmp_path):
    one, other = module(tmp_path, "names_done", "x + 1"), module(tmp_path, "names_missing", "x")
    dj.run([{}], one.score, cache_dir=tmp_path / "s")(3)
    assert len(dj.missing([{}], other.score, cache_dir=tmp_path / "s")(3)) == 1
    assert dj.missing([{}], one.score, cache_dir=tmp_path / "s")(3) == []
    (why,) = dj.explain([{}], other.score, cache_dir=tmp_path / "s")(3)
    assert "(function): wanted 'names_missing:score" in str(why)


def executed(body):
    space = {"__name__": "executed"}
    exec(f"def f(x): return {body}", space)
    return space["f"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (dj.cachable(table_name="f")(lambda x: 3 * x), dj.cachable(table_name="f")(lambda x: -x)),
        (dj.cachable()(executed("x")), dj.cachable()(executed("2 * x"))),
        (
            dj.cachable(table_name="f")(functools.partial(add, 1)),
            dj.cachable(table_name="f")(functools.partial(add, 2)),
        ),
    ],
    ids=["lambdas", "executed", "partials"],
)
def test_functions_that_cannot_be_told_apart_are_refused_in_one_run(one, other, tmp_path):
    with pytest.raises(UsageError, match=r"point 1.*two different functions are called f.*table_name"):
        dj.run([{"f": one}, {"f": other}], "f", cache_dir=tmp_path)(1)
    assert not list(tmp_path.iterdir())
    assert len(dj.run([{"f": one}, {"f": one}], "f", cache_dir=tmp_path)(1)) == 2


def test_one_function_that_is_marked_twice_is_one(tmp_path):
    grid = [{"f": dj.cachable()(add)}, {"f": dj.cachable()(add)}]
    assert dj.run(grid, "f", cache_dir=tmp_path)(1, 2) == [3, 3]
    assert len(list(dj.Store(tmp_path).records("add"))) == 1


def test_a_closure_over_what_has_no_key_is_refused_with_the_remedy(tmp_path):
    def over(handle):
        def reads(x):
            return handle

        return reads

    thing = iter([1])
    with pytest.raises(UsageError, match=r"reads: it holds handle, .*list_iterator.*table_name"):
        dj.run([{}], dj.cachable()(over(thing)), cache_dir=tmp_path)(1)
    named = dj.cachable(table_name="reads_handle")(over(4))
    assert dj.run([{}], named, cache_dir=tmp_path)(1) == [4]


def test_a_callable_object_needs_a_name():
    class Called:
        def __call__(self, x):
            return x

    with pytest.raises(UsageError, match="no name for a function"):
        dj.cachable()(Called())


def test_cachables_of_one_name_as_settings_are_two(tmp_path):
    @dj.cachable(table_name="calls_setting")
    def calls(f, x):
        return f(x)

    grid = dj.split([{}], "f", [make(2), make(3)])
    assert dj.run(grid, calls, cache_dir=tmp_path)("{f}", 10) == [20, 30]
    assert dj.run(grid, calls, cache_dir=tmp_path, run_mode="load")("{f}", 10) == [20, 30]


def test_another_function_computed_at_the_same_moment_is_not_served(tmp_path, monkeypatch):
    """Both have looked and found nothing; the other one's record is there first."""
    one, other = module(tmp_path, "names_first", "x + 1"), module(tmp_path, "names_second", "x")
    from datajuicer.running import run as running

    looked = running.look_up

    def late(store, calls, mode):
        results = looked(store, calls, mode)
        monkeypatch.undo()
        dj.run([{}], one.score, cache_dir=tmp_path / "s")(3)
        return results

    monkeypatch.setattr(running, "look_up", late)
    with pytest.raises(dj.RunError, match="another function of this name"):
        dj.run([{}], other.score, cache_dir=tmp_path / "s")(3)
    assert dj.run([{}], other.score, cache_dir=tmp_path / "s")(3) == [3]
