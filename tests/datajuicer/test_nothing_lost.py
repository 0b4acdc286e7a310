"""Good results stay: while they are computed again, and after a hiccup of the file system."""

import errno
import json
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import RunError, Store, StoreWarning, UsageError
from datajuicer.store import reading

GRID = dj.split([{}], "n", [1, 2, 3])


def switchable(**options):
    """A cachable function whose body can be changed: it returns `state["factor"] * n`, or raises that."""
    state = {"factor": 1, "calls": 0}

    @dj.cachable(["n"], table_name="f", **options)
    def f(n, job):
        state["calls"] += 1
        if isinstance(state["factor"], BaseException):
            raise state["factor"]
        (job.folder / "file.bin").write_bytes(bytes([n]))
        return {"w": np.full(4, state["factor"] * n), "file": job.artifact("file.bin")}

    return f, state


def firsts(results):
    return [None if r is None else int(r["w"][0]) for r in results]


# -- replaced only by what is complete


@pytest.mark.parametrize("error", [ValueError("bug"), OSError("gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("batch", [1, 3])
def test_force_of_what_fails_leaves_the_old_results(tmp_path, error, batch):
    f, state = switchable()
    dj.run(GRID, f, cache_dir=tmp_path)("{n}")
    state["factor"] = error
    with pytest.raises((RunError, KeyboardInterrupt)):
        dj.run(GRID, f, run_mode="force", cache_dir=tmp_path, batch=batch)("{n}")
    assert str(dj.status(GRID, f, cache_dir=tmp_path)("{n}")) == "3 done, 0 failed, 0 running, 0 missing"
    assert firsts(dj.run(GRID, f, run_mode="load", cache_dir=tmp_path)("{n}")) == [1, 2, 3]
    assert len(dj.to_dataframe(tmp_path / "f")) == 3
    state["factor"] = 2
    assert firsts(dj.run(GRID, f, run_mode="force", cache_dir=tmp_path)("{n}")) == [2, 4, 6]
    assert firsts(dj.run(GRID, f, run_mode="load", cache_dir=tmp_path)("{n}")) == [2, 4, 6]


def test_the_old_result_is_read_while_the_new_one_is_computed(tmp_path):
    seen = []

    @dj.cachable(["n"], table_name="f")
    def f(n):
        seen.append(dj.run([{}], f, run_mode="load_any", cache_dir=tmp_path)(n))
        return len(seen)

    dj.run([{}], f, cache_dir=tmp_path)(1)
    dj.run([{}], f, run_mode="force", cache_dir=tmp_path)(1)
    assert seen == [[], [1]]


def test_every_result_that_was_replaced_is_kept_with_its_files(tmp_path):
    f, state = switchable()
    olds = [dj.run([{}], f, cache_dir=tmp_path)(1)[0]]
    for factor in (2, 3):
        state["factor"] = factor
        olds += dj.run([{}], f, run_mode="force", cache_dir=tmp_path)(1)
    assert [old["file"].path().read_bytes() for old in olds] == [b"\1"] * 3  # in memory, and of three folders
    assert len(list(tmp_path.glob("f/??/*/replaced-*.json"))) == 2
    assert dj.gc(Store(tmp_path), older_than=-1) == []
    assert dj.verify(Store(tmp_path)).sound == 1
    copied = dj.copy_results(Store(tmp_path), Store(tmp_path / "copy"))
    assert len(copied.new) == 1
    assert firsts(dj.run([{}], f, run_mode="load", cache_dir=tmp_path / "copy")(1)) == [3]


def test_only_records_that_need_it_are_of_the_new_format(tmp_path):
    f, _ = switchable()
    for mode in ("normal", "force"):
        dj.run(GRID[:1], f, run_mode=mode, cache_dir=tmp_path)("{n}")
        dj.run(GRID[1:2], f, cache_dir=tmp_path)("{n}")
    formats = {record["dependencies"]["n"]: record["format"] for record in Store(tmp_path).records("f")}
    assert formats == {1: 2, 2: 1}


def test_a_retry_keeps_the_failure_until_there_is_something_new(tmp_path):
    f, state = switchable()
    state["factor"] = ValueError("first")
    with pytest.raises(RunError):
        dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    state["factor"] = OSError("not recorded")
    with pytest.raises(RunError):
        dj.run(GRID[:1], f, run_mode="retry", cache_dir=tmp_path)("{n}")
    with pytest.raises(RunError, match="first"):
        dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    state["factor"] = 1
    assert firsts(dj.run(GRID[:1], f, run_mode="retry", cache_dir=tmp_path)("{n}")) == [1]


def test_a_failing_recomputation_leaves_the_old_result(tmp_path):
    good = [True]
    f, state = switchable(checker=lambda folder: good[0])
    dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    good[0], state["factor"] = False, ValueError("bug")
    with pytest.raises(RunError, match="bug"):
        dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    good[0] = True
    assert firsts(dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")) == [1]


# -- the quarantine takes bytes, not names


def test_a_stale_view_of_a_result_does_not_take_away_the_new_one(tmp_path):
    f, state = switchable()
    dj.run([{}], f, cache_dir=tmp_path)(1)
    store = Store(tmp_path)
    (old,) = store.records("f")
    artifact = store.value(old)["file"]
    state["factor"] = 2
    dj.run([{}], f, run_mode="force", cache_dir=tmp_path)(1)
    for path in store.folder_of(old).glob("*.*"):  # what the old record names is gone for good
        path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.value(old)["w"][0] == 2  # the new result instead
        with pytest.raises(UsageError, match="is not here"):
            artifact.path()
    (artifact.folder / "file.bin").write_bytes(b"?")
    with pytest.raises(UsageError, match="corrupt"):
        artifact.path()
    assert firsts(dj.run([{}], f, run_mode="load", cache_dir=tmp_path)(1)) == [2]
    assert not (tmp_path / "quarantine").exists()


def test_a_record_that_was_replaced_between_look_and_move_is_put_back(tmp_path, monkeypatch):
    store = Store(tmp_path)
    record = {"format": 1, "function": "f", "key": "ab" * 20, "outcome": "done", "value": 1}
    store.write(record)
    path = store.path("f", "ab" * 20)
    sound = path.read_bytes()
    path.write_bytes(b"half")
    rename = os.rename

    def late(source, target):
        if Path(source) == path:
            path.write_bytes(sound)  # another process is faster by a hair
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    store.read("f", "ab" * 20)
    assert store.read("f", "ab" * 20)["value"] == 1


# -- a hiccup is not a loss


def hiccup(monkeypatch, name, error):
    """Let one call of a function of `os` fail, the first that concerns the store."""
    real, left = getattr(os, name), [1]

    def call(*args, **kwargs):
        if left and left.pop():
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
@pytest.mark.parametrize("name", ["read", "open"])
def test_one_error_of_the_file_system_is_tried_again(tmp_path, monkeypatch, name, number):
    f, state = switchable()
    dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    with monkeypatch.context() as here:
        hiccup(here, name, OSError(number, "hiccup"))
        assert firsts(dj.run(GRID[:1], f, run_mode="load", cache_dir=tmp_path)("{n}")) == [1]
    assert state["calls"] == 1


def test_an_error_that_stays_is_told_for_its_point_and_changes_nothing(tmp_path, monkeypatch):
    f, state = switchable()
    dj.run(GRID, f, cache_dir=tmp_path)("{n}")
    victim = next(r for r in Store(tmp_path).records("f") if r["dependencies"]["n"] == 2)
    path, real = Store(tmp_path).path("f", victim["key"]), os.open
    monkeypatch.setattr(reading, "RETRIES", (0.001,))

    def broken(name, *args, **kwargs):
        if str(name) == str(path):
            raise OSError(errno.EIO, "Input/output error")
        return real(name, *args, **kwargs)

    with monkeypatch.context() as here:
        here.setattr(os, "open", broken)
        with pytest.raises(RunError, match="cannot be read now: Input/output error") as caught:
            dj.run(GRID, f, cache_dir=tmp_path)("{n}")
        assert firsts(caught.value.results) == [1, None, 3]
        report = dj.verify(Store(tmp_path))
        assert (report.sound, report.quarantined, len(report.unreadable)) == (2, (), 1)
    assert firsts(dj.run(GRID, f, cache_dir=tmp_path)("{n}")) == [1, 2, 3]
    assert state["calls"] == 3


def test_short_reads_are_read_on(tmp_path, monkeypatch):
    f, state = switchable()
    dj.run(GRID, f, cache_dir=tmp_path)("{n}")
    real = os.read
    monkeypatch.setattr(os, "read", lambda file, size: real(file, min(size, 100)))
    assert firsts(dj.run(GRID, f, cache_dir=tmp_path)("{n}")) == [1, 2, 3]
    assert state["calls"] == 3


def test_arrays_that_appear_late_are_waited_for(tmp_path):
    f, state = switchable()
    dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    (arrays,) = tmp_path.glob("f/??/*/value-*")
    hidden = arrays.rename(tmp_path / "hidden")
    timer = threading.Timer(0.15, lambda: hidden.rename(arrays))
    timer.start()
    assert firsts(dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")) == [1]
    timer.join()
    assert state["calls"] == 1


def test_what_is_gone_for_good_is_still_found(tmp_path):
    f, state = switchable()
    dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")
    next(tmp_path.glob("f/??/*/value-*")).unlink()
    with pytest.warns(StoreWarning, match="missing or corrupt"):
        assert firsts(dj.run(GRID[:1], f, cache_dir=tmp_path)("{n}")) == [1]
    assert state["calls"] == 2


# -- the state of the process may change


def test_a_function_may_change_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    @dj.cachable(["n"], table_name="goes")
    def goes(n):
        os.chdir(tmp_path / "elsewhere")
        return n

    fast = dj.cached(goes, "s")
    assert dj.run(GRID, goes, cache_dir="s")("{n}") == [1, 2, 3]
    assert fast(4) == 4
    os.chdir(tmp_path)
    assert str(dj.status(GRID, goes, cache_dir="s")("{n}")) == "3 done, 0 failed, 0 running, 0 missing"
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not list(tmp_path.rglob("*.claim.*"))


def test_the_home_directory_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Store("~/results").root == tmp_path / "results"
    assert Store("results~").root == tmp_path / "results~"
    with pytest.raises(UsageError, match="give its whole path"):
        Store("~nobody-of-this-name/results")


def test_records_hold_no_absolute_paths(tmp_path):
    f, _ = switchable()
    for mode in ("normal", "force"):
        dj.run([{}], f, run_mode=mode, cache_dir=tmp_path)(1)
    (record,) = Store(tmp_path).records("f")
    assert str(tmp_path) not in json.dumps(record)
