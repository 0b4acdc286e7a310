"""A point that fails, however it does it, never loses its neighbours."""

import os
import subprocess
import threading
import time

import pytest

import datajuicer as dj

GRID = dj.split([{}], "a", range(4))


def failed(error) -> dict[int, str]:
    return {index: failure.error for failure in error.value.failures for index in failure.indices}


def test_a_saver_that_fails_is_a_failure_of_its_point(tmp_path):
    def save(folder, value):
        if value == 1:
            (folder / "no" / "such" / "file").write_text("")
        if value == 2:
            raise TypeError("cannot save a 2")
        (folder / "value.txt").write_text(str(value))

    @dj.cachable(saver=save, loader=lambda folder: int((folder / "value.txt").read_text()))
    def saved(a):
        return a

    with pytest.raises(dj.RunError) as error:
        dj.run(GRID, saved, cache_dir=tmp_path)("{a}")
    assert error.value.results == [0, 1, 2, 3]  # what cannot be stored is handed over all the same
    assert "no/such/file" in failed(error)[1]
    assert "cannot save a 2" in failed(error)[2]
    assert "in save" in error.value.failures[1].traceback


@pytest.mark.parametrize("twice", [False, True])
def test_a_loader_that_fails_is_a_failure_of_its_point(tmp_path, twice):
    def load(folder):
        value = int((folder / "value.txt").read_text())
        return 1 / (value - 1)

    @dj.cachable(saver=lambda folder, value: (folder / "value.txt").write_text(str(value)), loader=load)
    def loaded(a):
        return a

    for _ in range(1 + twice):
        with pytest.raises(dj.RunError) as error:
            dj.run(GRID, loaded, cache_dir=tmp_path)("{a}")
        assert error.value.results == [-1.0, None, 1.0, 0.5]
        assert "cannot be read: ZeroDivisionError" in failed(error)[1]
    assert len(list(tmp_path.glob("loaded/??/*.json"))) == 4


def test_an_argument_that_cannot_travel_is_a_failure_of_its_point(tmp_path):
    @dj.cachable(dependencies=["a"])
    def locked(a, lock):
        return a

    grid = [{**point, "lock": threading.Lock() if point["a"] == 2 else None} for point in GRID]
    with pytest.raises(dj.RunError) as error:
        dj.run(grid, locked, n_threads=2, cache_dir=tmp_path)("{a}", "{lock}")
    assert error.value.results == [0, 1, None, 3]
    assert "pickle" in failed(error)[2]


def test_results_that_cannot_be_merged_do_not_hide_a_failure(tmp_path):
    @dj.cachable()
    def number(a):
        if a == 1:
            raise ValueError("no 1")
        return a

    with pytest.raises(dj.RunError, match="no 1") as error:
        dj.run(GRID, number, cache_dir=tmp_path, store_key="*")("{a}")
    assert error.value.results == [0, None, 2, 3]
    assert "merges a dict" in str(error.value)


@pytest.mark.parametrize(
    "extra", [{1, object()}, {"me": None}], ids=["a set without order", "a dict that holds itself"]
)
def test_what_is_only_told_in_a_record_never_costs_a_result(tmp_path, extra):
    if isinstance(extra, dict):
        extra["me"] = extra

    @dj.cachable(dependencies=["a"])
    def told(a, extra, job):
        job.note(extra=extra)
        return a

    for _ in range(2):
        assert dj.run(GRID, told, cache_dir=tmp_path)("{a}", extra) == [0, 1, 2, 3]


def test_a_time_limit_ends_what_a_worker_has_started(tmp_path):
    @dj.cachable(dependencies=[])
    def with_child(folder):
        child = subprocess.Popen(["sleep", "600"])
        with open(f"{folder}/child", "w") as file:
            file.write(str(child.pid))
        child.wait()

    with pytest.raises(dj.RunError, match="time limit"):
        dj.run([{}], with_child, cache_dir=tmp_path / "store", time_limit=1.0)(str(tmp_path))
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _lives(child):
            break
        time.sleep(0.1)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_worker_that_dies_after_its_record_has_done_its_work(tmp_path, monkeypatch):
    from datajuicer.running.compute import Task, record_death
    from datajuicer.running.plan import make_call

    @dj.cachable()
    def square(a):
        return a * a

    dj.run([{"a": 3}], square, cache_dir=tmp_path)("{a}")
    store = dj.Store(tmp_path)
    (record,) = store.records("square")
    call = make_call(square, (3,), {}, {"a": 3}, 0)
    assert call.key == record["key"]
    assert record_death(Task((call,), store), "was killed").outcome == "done"
    assert not list(store.records("square", "failed"))
