"""Running a grid in one process: modes, order, equal points, failures, status, lint."""

import os
import pickle
import warnings

import pytest

import datajuicer as dj
from datajuicer import MissingResults, RunError, StoreWarning, UsageError, cachable, run, split
from datajuicer.store import claims
from datajuicer.store.record import format_record


class Counter:
    """A cachable function that remembers its calls."""

    def __init__(self, fails=(), **options):
        self.calls = []
        self.fails = set(fails)

        def f(n):
            self.calls.append(n)
            if n in self.fails:
                raise ValueError(f"no {n}")
            return {"square": n * n, "list": [n]}

        self.f = cachable(table_name="f", **options)(f)


GRID = split([{}], "n", [3, 1, 2])


def squares(results):
    return [None if r is None else r["square"] for r in results]


def test_results_have_the_order_of_the_grid_and_are_kept(tmp_path):
    c = Counter()
    for _ in range(2):
        assert squares(run(GRID, c.f, cache_dir=tmp_path)("{n}")) == [9, 1, 4]
    assert c.calls == [3, 1, 2]


def test_equal_points_are_computed_once_and_share_no_object(tmp_path):
    c = Counter()
    results = run([*GRID, *GRID], c.f, cache_dir=tmp_path)("{n}")
    assert c.calls == [3, 1, 2]
    results[0]["list"].append("changed")
    assert results[3]["list"] == [3]


def test_store_key_puts_results_into_copies_of_the_points(tmp_path):
    c = Counter()
    grid = run(GRID, c.f, cache_dir=tmp_path, store_key="out")("{n}")
    assert grid[0] == {"n": 3, "out": {"square": 9, "list": [3]}}
    grid = run(GRID, c.f, cache_dir=tmp_path, store_key="*")("{n}")
    assert grid[0] == {"n": 3, "square": 9, "list": [3]}
    assert GRID[0] == {"n": 3}
    with pytest.raises(UsageError, match="merges a dict"):
        run(GRID, lambda: 1, store_key="*")()


def test_functions_that_are_not_cachable_just_run(tmp_path):
    assert run(GRID, lambda n, k=0: n + k, cache_dir=tmp_path)("{n}", k=1) == [4, 2, 3]
    assert run({"n": 1}, lambda n: n)("{n}") == [1]
    assert run([{"f": len, "n": "ab"}], "f")("{n}") == [2]
    assert not any(tmp_path.iterdir())


def test_force_computes_again_and_deletes_nothing(tmp_path):
    c = Counter()
    run(GRID, c.f, cache_dir=tmp_path)("{n}")
    run(GRID, c.f, run_mode="force", cache_dir=tmp_path)("{n}")
    assert len(c.calls) == 6
    assert len(list(tmp_path.glob("f/??/*.json"))) == 3
    assert len(list(tmp_path.glob("f/??/*/replaced-*.json"))) == 3


def test_force_starts_from_nothing_but_a_new_attempt_from_its_checkpoint(tmp_path):
    seen = []

    @cachable(table_name="f")
    def f(n, job):
        file = job.folder / "checkpoint"
        seen.append(file.exists())
        file.write_text("x")
        if len(seen) == 1:
            raise OSError("the disk went away")
        return n

    with pytest.raises(RunError):
        run([{}], f, cache_dir=tmp_path)(1)
    assert run([{}], f, cache_dir=tmp_path)(1) == [1]
    assert run([{}], f, run_mode="force", cache_dir=tmp_path)(1) == [1]
    assert seen == [False, True, False]


def test_load_computes_nothing_and_lists_everything_that_is_missing(tmp_path):
    c = Counter()
    run(GRID[:1], c.f, cache_dir=tmp_path)("{n}")
    with pytest.raises(MissingResults, match=r"2 of 3 points.*python train\.py -exp=x") as caught:
        run(GRID, c.f, run_mode="load", cache_dir=tmp_path, hint="python train.py -exp=x")("{n}")
    assert caught.value.points == [{"n": 1}, {"n": 2}]
    assert "n=1" in str(caught.value)
    assert "n=2" in str(caught.value)
    assert squares(run(GRID, c.f, run_mode="load_any", cache_dir=tmp_path)("{n}")) == [9]
    assert len(run(GRID, c.f, run_mode="load_any", cache_dir=tmp_path, store_key="x")("{n}")) == 1
    assert c.calls == [3]


def test_no_save_writes_nothing(tmp_path):
    c = Counter()
    run(GRID, c.f, cache_mode="no_save", cache_dir=tmp_path / "s")("{n}")
    assert not (tmp_path / "s").exists()
    run(GRID[:1], c.f, cache_dir=tmp_path / "s")("{n}")
    before = {p: p.read_bytes() for p in (tmp_path / "s").rglob("*.json")}
    results = run(GRID, c.f, run_mode="force", cache_mode="no_save", cache_dir=tmp_path / "s")("{n}")
    assert squares(results) == [9, 1, 4]
    assert {p: p.read_bytes() for p in (tmp_path / "s").rglob("*.json")} == before


def test_a_failing_point_never_loses_its_neighbours(tmp_path):
    c = Counter(fails=[1])
    with pytest.raises(RunError) as caught:
        run([*GRID, *GRID], c.f, cache_dir=tmp_path)("{n}")
    error = caught.value
    assert squares(error.results) == [9, None, 4, 9, None, 4]
    (failure,) = error.failures
    assert failure.indices == (1, 4)
    assert failure.point == {"n": 1}
    assert failure.error == "ValueError: no 1"
    assert "in f" in failure.traceback
    assert failure.recorded
    assert isinstance(error.__cause__, ValueError)
    assert "2 of 6 points failed" in str(error)


def test_recorded_failures_are_reported_without_computing_until_retry(tmp_path):
    c = Counter(fails=[1])
    with pytest.raises(RunError):
        run(GRID, c.f, cache_dir=tmp_path)("{n}")
    with pytest.raises(RunError, match="retry") as caught:
        run(GRID, c.f, cache_dir=tmp_path)("{n}")
    assert c.calls == [3, 1, 2]
    assert "in f" in caught.value.failures[0].traceback
    c.fails.clear()
    assert squares(run(GRID, c.f, run_mode="retry", cache_dir=tmp_path)("{n}")) == [9, 1, 4]
    assert c.calls == [3, 1, 2, 1]
    assert squares(run(GRID, c.f, cache_dir=tmp_path)("{n}")) == [9, 1, 4]
    status = dj.status(GRID, c.f, cache_dir=tmp_path)("{n}")
    assert (len(status.done), len(status.failed)) == (3, 0)


class Transient(Exception):
    transient = True


@pytest.mark.parametrize(
    "kind", [OSError, MemoryError, UsageError, dj.Interrupted, Transient, FileNotFoundError]
)
def test_what_lies_in_the_circumstances_is_not_recorded(tmp_path, kind):
    @cachable(table_name="f")
    def f(n):
        raise kind("gone")

    with pytest.raises(RunError, match="gone") as caught:
        run([{"n": 1}], f, cache_dir=tmp_path)("{n}")
    assert not caught.value.failures[0].recorded
    assert dj.missing([{"n": 1}], f, cache_dir=tmp_path)("{n}") == [{"n": 1}]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("kind", [ValueError, SystemExit, ZeroDivisionError, RecursionError])
def test_other_failures_are(tmp_path, kind):
    @cachable(table_name="f")
    def f(n):
        raise kind("wrong")

    with pytest.raises(RunError):
        run([{"n": 1}], f, cache_dir=tmp_path)("{n}")
    assert dj.status([{"n": 1}], f, cache_dir=tmp_path)("{n}").failed == [{"n": 1}]


def test_a_failure_of_a_function_that_is_not_cachable_keeps_the_others():
    with pytest.raises(RunError) as caught:
        run(GRID, lambda n: 1 // (n - 1))("{n}")
    assert caught.value.results == [0, None, 1]


def test_a_result_that_cannot_be_stored_is_told(tmp_path):
    f = cachable(["n"], table_name="f")(lambda n: object())
    with pytest.raises(RunError, match=r"the result is of type builtins\.object.*saver"):
        run([{"n": 1}], f, cache_dir=tmp_path)("{n}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_threads": 0}, "n_threads=0"),
        ({"n_threads": True}, "n_threads=True"),
        ({"n_threads": 2.0}, "n_threads"),
        ({"batch": 0}, "batch=0"),
        ({"run_mode": "fast"}, "run_mode='fast' must be one of normal"),
        ({"cache_mode": "off"}, "cache_mode"),
        ({"store_key": 3}, "store_key"),
        ({"executor": 3}, "no submit"),
    ],
)
def test_wrong_options_are_told_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        run(GRID, print, **options)


def test_nothing_is_computed_when_one_point_cannot_be_planned(tmp_path):
    c = Counter()
    with pytest.raises(UsageError, match=r"point 3 \(m=5\).*no key 'n'"):
        run([*GRID, {"m": 5}], c.f, cache_dir=tmp_path)("{n}")
    with pytest.raises(UsageError, match=r"point 0 \(n=3\): n is of type builtins\.object"):
        run(GRID, c.f, cache_dir=tmp_path)(object())
    with pytest.raises(UsageError, match="not a function"):
        run([{"f": 5}], "f")()
    assert c.calls == []


def test_status_missing_and_explain_compute_nothing(tmp_path):
    c = Counter(fails=[1])
    assert len(dj.missing(GRID, c.f, cache_dir=tmp_path)("{n}")) == 3
    assert not any(tmp_path.iterdir())
    with pytest.raises(RunError):
        run(GRID[:2], c.f, cache_dir=tmp_path)("{n}")
    status = dj.status([*GRID, *GRID[:1]], c.f, cache_dir=tmp_path)("{n}")
    assert status.done == [{"n": 3}, {"n": 3}]
    assert status.failed == [{"n": 1}]
    assert status.missing == [{"n": 2}]
    assert str(status) == "2 done, 1 failed, 0 running, 1 missing"
    (explanation,) = dj.explain(GRID, c.f, cache_dir=tmp_path)("{n}")
    assert explanation.point == {"n": 2}
    assert explanation.differences == (("n", 2, 3),)
    assert c.calls == [3, 1]
    with pytest.raises(UsageError, match="not cachable"):
        dj.status(GRID, print)("{n}")


def test_explain_finds_the_nearest_result_and_typed_differences(tmp_path):
    f = cachable(table_name="f")(lambda a, b, c: 0)
    f = cachable(["a", "b", "c"], table_name="f")(f.function)
    assert "no result of this function at all" in str(dj.explain([{}], f, cache_dir=tmp_path)(1, 2, 3)[0])
    run([{"a": 1}, {"a": 2}], f, cache_dir=tmp_path)("{a}", 2, 3)
    (explanation,) = dj.explain([{}], f, cache_dir=tmp_path)(1.0, 2, 3)
    assert explanation.differences == (("a", 1.0, 1),)
    newer = cachable(["a", "b", "c"], table_name="f", version=2)(f.function)
    (explanation,) = dj.explain([{}], newer, cache_dir=tmp_path)(1, 2, 3)
    assert explanation.differences == (("(version)", 2, None),)


def test_the_lint_reports_what_is_read_but_not_declared(tmp_path):
    def helper(model):
        return model.get("width", 0) + ("depth" in model)

    @cachable(["model:seed", "model:opt.lr"], table_name="f")
    def f(model, job):
        return model["seed"] + model["opt"]["lr"] + helper(model)

    grid = [{"seed": 1, "opt": {"lr": 2}, "width": 3, "depth": 4, "unread": 5}]
    with pytest.warns(StoreWarning, match=r"f reads model:width; f reads model:depth\. "):
        assert run(grid, f, cache_dir=tmp_path, lint=True)("{*}") == [7]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(grid, f, run_mode="force", cache_dir=tmp_path)("{*}")
        honest = cachable(["model:seed", "model:opt", "model:width", "model:depth"], table_name="g")(
            f.function
        )
        run(grid, honest, cache_dir=tmp_path, lint=True)("{*}")


def test_progress_and_notes_reach_a_direct_call_too(tmp_path):
    job = dj.Job.local(tmp_path / "here")
    job.progress(1, 10)
    job.note(a=1)
    assert not job.stop_requested()
    (job.folder / "x").write_text("x")
    assert job.artifact("x").path().read_text() == "x"
    with pytest.raises(UsageError, match="there is no file"):
        job.artifact("y")
    with pytest.raises(UsageError, match="outside"):
        job.artifact("../../x")


def test_a_function_that_is_not_cachable_gets_a_job_with_a_folder_for_the_moment():
    folders = []

    def f(job):
        (job.folder / "x").write_text("x")
        folders.append(job.folder)

    run([{}], f)()
    assert not folders[0].exists()


# -- batches
# --------------------------------------------------------------------------------------------------------


def test_errors_survive_being_sent_between_processes():
    for error in (RunError("two words", [1, None], []), MissingResults("three words here", [{"a": 1}])):
        back = pickle.loads(pickle.dumps(error))
        assert str(back) == str(error)
        assert back.__dict__ == error.__dict__


def test_a_retry_that_runs_is_running_and_one_that_died_is_failed(tmp_path):
    f = cachable(["n"], table_name="f")(lambda n: 1 // n)
    grid = [{"n": 0}]
    with pytest.raises(RunError):
        run(grid, f, cache_dir=tmp_path)("{n}")
    held = claims.claim(dj.Store(tmp_path), "f", f.key({"n": 0}))
    assert held is not None
    assert dj.status(grid, f, cache_dir=tmp_path)("{n}").running == grid
    held.path.write_text('{"machine": "elsewhere", "pid": 1}')
    os.utime(held.path, (0, 0))
    assert dj.status(grid, f, cache_dir=tmp_path)("{n}").failed == grid


def test_a_folder_that_cannot_be_made_is_told_and_nothing_more_is_tried(tmp_path):
    @cachable(table_name="f")
    def f(n, job):
        raise AssertionError("never called")

    for n in range(3):
        shelf = tmp_path / "f" / f.key({"n": n})[:2]
        shelf.mkdir(parents=True, exist_ok=True)
        (shelf / f.key({"n": n})).write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"the store cannot be written: .*exists"):
        run(split([{}], "n", range(3)), f, cache_dir=tmp_path)("{n}")


def test_job_may_stand_anywhere(tmp_path):
    @cachable()
    def first(job, a, b):
        job.note(seen=True)
        return a - b

    assert run([{"a": 3}], first, cache_dir=tmp_path)("{a}", 1) == [2]
    assert run([{"a": 4}], first, cache_dir=tmp_path)("{a}", b=1) == [3]


def test_an_empty_grid_has_an_empty_status(tmp_path):
    c = Counter()
    assert dj.missing([], c.f, tmp_path)("{n}") == []
    assert str(dj.status([], c.f, tmp_path)("{n}")) == "0 done, 0 failed, 0 running, 0 missing"


def test_status_and_run_agree_on_what_other_code_computed(tmp_path):
    old, new = Counter(), Counter(on_code_change="recompute")
    run(GRID, old.f, cache_dir=tmp_path)("{n}")
    for path in tmp_path.glob("f/??/*.json"):
        record = dj.Store(tmp_path).read("f", path.stem) or {}
        path.write_bytes(format_record(record | {"code": "other"}))
    assert len(dj.missing(GRID, old.f, tmp_path)("{n}")) == 0
    assert len(dj.missing(GRID, new.f, tmp_path)("{n}")) == 3
    run(GRID, new.f, cache_dir=tmp_path)("{n}")
    assert new.calls == [3, 1, 2]
    assert len(dj.missing(GRID, new.f, tmp_path)("{n}")) == 0


def test_a_limit_without_end_is_no_limit():
    with pytest.raises(UsageError, match="time_limit"):
        run(GRID, len, time_limit=float("inf"))
