"""Faults, with real processes: killed at random moments, many on one store, and the same failures on every
back end.
"""

import os
import random
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import RunError, cachable, run, split

ROOT = str(Path(dj.__file__).parents[1])

SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np
import datajuicer as dj

here, count, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

@dj.cachable()
def compute(n, job):
    with open(here / "calls", "a") as calls:
        calls.write(f"{n}\\n")
    if what == "slow":
        (here / f"started-{n}").touch()
        while not (here / "go").exists():
            time.sleep(0.01)
    if what == "short":
        time.sleep(0.002)
    (job.folder / "file.bin").write_bytes(bytes([n % 256]) * 3000)
    return {"n": n, "w": np.full(500, n), "file": job.artifact("file.bin")}

(here / f"ready-{sys.argv[4]}").touch()
grid = dj.split([{}], "n", range(count))
results = dj.run(grid, compute, cache_dir=here / "sessions")("{n}")
print(sum(r["n"] for r in results))
"""


def start(folder, count, what="fast", name="0"):
    path = folder / "script.py"
    if not path.exists():  # another one may be reading it
        path.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(path), str(folder), str(count), what, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )


def wait_for(path, process=None):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.001)


def calls(folder):
    return sorted(map(int, (folder / "calls").read_text().split()))


def finished(folder):
    return {p.stem for p in (folder / "sessions").glob("compute/??/*.json")}


def kill_at_random_moments(folder, times, count):
    chance = random.Random(0)
    known = set()
    for _ in range(times):
        process = start(folder, count)
        wait_for(folder / "ready-0", process)
        time.sleep(chance.uniform(0.0, 0.08))
        process.kill()
        process.communicate()
        (folder / "ready-0").unlink()
        now = finished(folder)
        assert known <= now, "a finished result was lost"
        known = now
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a quarantined file would warn
            assert dj.verify(dj.Store(folder / "sessions")).sound == len(now)
        if len(known) == count:
            for path in (folder / "sessions").glob("compute/??/*.json"):
                path.unlink()  # go on with an empty store
            known = set()
    process = start(folder, count)
    out, err = process.communicate(timeout=120)
    assert out.strip() == str(sum(range(count))), err
    for record in dj.Store(folder / "sessions").records("compute"):
        value = dj.Store(folder / "sessions").value(record)
        np.testing.assert_array_equal(value["w"], np.full(500, value["n"]))
        assert value["file"].path().read_bytes() == bytes([value["n"] % 256]) * 3000
    dj.gc(dj.Store(folder / "sessions"), dry_run=False, older_than=0)
    left = [p for p in (folder / "sessions").rglob("*") if ".tmp" in p.name or ".claim." in p.name]
    assert left == []


def test_kill_9_at_random_moments_loses_and_corrupts_nothing(tmp_path):
    kill_at_random_moments(tmp_path, 15, 60)


@pytest.mark.slow
def test_kill_9_two_hundred_times(tmp_path):
    kill_at_random_moments(tmp_path, 200, 60)


def test_eight_processes_on_the_same_points_compute_each_once(tmp_path):
    processes = [start(tmp_path, 200, "short", str(i)) for i in range(8)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert out.strip() == str(sum(range(200))), err
        assert err == ""
    assert calls(tmp_path) == list(range(200))


def test_who_comes_second_waits_for_the_first_and_takes_its_result(tmp_path):
    first = start(tmp_path, 1, "slow", "1")
    wait_for(tmp_path / "started-0", first)
    status = dj.status([{"n": 0}], named("compute"), cache_dir=tmp_path / "sessions")("{n}")
    assert status.running == [{"n": 0}]
    assert status.missing == []
    second = start(tmp_path, 1, "slow", "2")
    wait_for(tmp_path / "ready-2", second)
    time.sleep(0.5)
    (tmp_path / "go").touch()
    assert first.communicate(timeout=60)[0] == second.communicate(timeout=60)[0] == "0\n"
    assert calls(tmp_path) == [0]


def test_the_work_of_a_killed_process_is_taken_over_by_one(tmp_path):
    first = start(tmp_path, 1, "slow", "1")
    wait_for(tmp_path / "started-0", first)
    others = [start(tmp_path, 1, "slow", str(i)) for i in (2, 3, 4)]
    for i, other in enumerate(others):
        wait_for(tmp_path / f"ready-{i + 2}", other)
    time.sleep(0.5)
    assert calls(tmp_path) == [0]
    (tmp_path / "started-0").unlink()
    first.kill()
    first.communicate()
    wait_for(tmp_path / "started-0")
    (tmp_path / "go").touch()
    assert [o.communicate(timeout=60)[0] for o in others] == ["0\n"] * 3
    assert calls(tmp_path) == [0, 0]


def named(name):
    """A function of the same name and parameters as that of the script."""

    @cachable(table_name=name, on_code_change="ignore")
    def function(n, job):
        raise AssertionError

    return function


@cachable()
def planted(n, calls):
    with open(calls, "a") as file:
        file.write(f"{n}\n")
    if n % 5 == 3:
        raise ValueError(f"planted in {n}")
    return {"n": n, "w": np.full(3, n)}


def many(n, calls):
    results = []
    for one, file in zip(n, calls, strict=True):
        try:
            results.append(planted.function(one, file))
        except ValueError as error:
            results.append(error)
    return results


batched = cachable(["n"], table_name="batched", batched=many)(planted.function)
alone = cachable(["n"], table_name="alone")(planted.function)

BACK_ENDS = {
    "in this process": lambda: (alone, {}),
    "workers": lambda: (alone, {"n_threads": 2}),
    "batches": lambda: (batched, {"batch": 6}),
    "batches in workers": lambda: (batched, {"batch": 6, "n_threads": 2}),
    "a pool of threads": lambda: (alone, {"executor": ThreadPoolExecutor(4)}),
    "a pool of processes": lambda: (
        alone,
        {"executor": ProcessPoolExecutor(2, mp_context=get_context("spawn"))},
    ),
}


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_twenty_points_four_of_which_fail(tmp_path, back_end):
    function, options = BACK_ENDS[back_end]()
    grid = split([{}], "n", range(20))
    for _ in range(2):  # a second run computes no finished point and no recorded failure
        with pytest.raises(RunError) as caught:
            run(grid, function, cache_dir=tmp_path / "s", **options)("{n}", calls=str(tmp_path / "calls"))
        error = caught.value
        assert [None if r is None else r["n"] for r in error.results] == [
            None if n % 5 == 3 else n for n in range(20)
        ]
        assert [f.error for f in error.failures] == [f"ValueError: planted in {n}" for n in (3, 8, 13, 18)]
        assert all("planted" in f.traceback and f.recorded for f in error.failures)
        assert calls(tmp_path) == list(range(20))
    if "executor" in options:
        options["executor"].shutdown()
