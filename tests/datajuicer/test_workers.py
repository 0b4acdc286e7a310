"""Worker processes: parallel, reused, isolated, logged, killed, stopped. Real processes, really killed."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import RunError, cachable, run, split
from datajuicer.workers.local import LocalExecutor, describe_exit, shares


@cachable()
def facts(n):
    time.sleep(0.05)
    print(f"hello from {n}")
    os.system("echo from a child")
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "pid": os.getpid(),
        "processors": len(os.sched_getaffinity(0)),
        "threads": threads,
        "w": np.ones(n),
    }


@cachable()
def dies(n):
    print(f"last words of {n}", flush=True)
    if n == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 2:
        os._exit(7)
    if n == 3:
        import ctypes

        ctypes.string_at(0)  # a real segmentation fault
    if n == 4:
        raise ValueError("an exception is no death")
    return n


def logs(root, function):
    return {p.parent.name: p.read_text() for p in Path(root).glob(f"{function}/??/*/log.txt")}


def test_workers_are_other_processes_reused_with_a_share_of_the_processors(tmp_path, capfd):
    results = run(split([{}], "n", range(8)), facts, n_threads=2, cache_dir=tmp_path)("{n}")
    pids = {r["pid"] for r in results}
    assert len(pids) == 2
    assert os.getpid() not in pids
    ours = len(os.sched_getaffinity(0))
    assert {r["processors"] for r in results} <= {max(1, ours // 2), ours - ours // 2}
    if "OMP_NUM_THREADS" not in os.environ:
        assert all(r["threads"] == str(r["processors"]) for r in results)
    assert [len(r["w"]) for r in results] == list(range(8))
    assert len(logs(tmp_path, "facts")) == 8
    for text in logs(tmp_path, "facts").values():
        assert "hello from" in text
        assert "from a child" in text
    out, err = capfd.readouterr()
    assert "hello from" not in out + err
    assert err.count("done: facts n=") == 8


def test_the_processors_are_shared_out_evenly():
    ours = sorted(os.sched_getaffinity(0))
    for workers in (1, 2, 3, 7):
        parts = shares(workers)
        assert len(parts) == workers
        assert all(parts)
        if workers <= len(ours):
            assert sorted(p for part in parts for p in part) == ours
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_worker_that_dies_is_a_recorded_failure_with_its_last_words(tmp_path):
    grid = split([{}], "n", range(6))
    with pytest.raises(RunError) as caught:
        run(grid, dies, n_threads=2, cache_dir=tmp_path)("{n}")
    error = caught.value
    assert error.results == [0, None, None, None, None, 5]
    told = {f.point["n"]: f for f in error.failures}
    assert told[1].error == "the worker process was killed by SIGKILL"
    assert told[2].error == "the worker process ended with exit status 7"
    assert told[3].error == "the worker process was killed by SIGSEGV"
    assert told[4].error == "ValueError: an exception is no death"
    for n, failure in told.items():
        assert failure.recorded
        assert f"last words of {n}" in Path(failure.log or "").read_text()
        if n < 4:
            assert f"last words of {n}" in failure.traceback
    with pytest.raises(RunError, match="SIGKILL"):
        run(grid, dies, cache_dir=tmp_path)("{n}")  # reported again, not computed: it would kill this process
    assert not list(tmp_path.rglob("*.claim.*"))


def test_a_death_in_a_batch_is_pinned_on_the_point_that_died(tmp_path):
    def many(n):
        return [dies.function(one) for one in n]

    f = cachable(["n"], table_name="f", batched=many)(dies.function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # f travels as a copy of what many calls, which is no other code
        with pytest.raises(RunError) as caught:
            run(split([{}], "n", [0, 1, 5, 6]), f, n_threads=2, batch=4, cache_dir=tmp_path)("{n}")
    assert caught.value.results == [0, None, 5, 6]
    assert "SIGKILL" in caught.value.failures[0].error


COUNT = 0


def counted():
    return COUNT


@cachable()
def counts(n):
    global COUNT  # noqa: PLW0603 - the case is a function that counts
    COUNT += 1
    return n + 0 * counted()


def test_a_copy_of_a_function_that_travels_is_the_code_that_was_planned(tmp_path):
    def many(n):
        return [counts.function(one) for one in n]

    f = cachable(["n"], table_name="f", batched=many, on_code_change="recompute")(counts.function)
    for _ in range(2):  # computed, then a hit: the worker's records name what the plan names
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(split([{}], "n", [3, 4]), f, 2, batch=2, cache_dir=tmp_path)("{n}") == [3, 4]
        assert len(dj.status(split([{}], "n", [3, 4]), f, tmp_path)("{n}").done) == 2


def test_functions_of_this_session_go_by_value_and_results_need_no_store(tmp_path):
    shift = 10

    def local(n):
        return n + shift, os.getpid()

    results = run(split([{}], "n", range(4)), local, n_threads=2, progress=False)("{n}")
    assert [r[0] for r in results] == [10, 11, 12, 13]
    assert os.getpid() not in {r[1] for r in results}


def test_a_task_that_cannot_be_sent_or_read_is_told():
    class Unreadable:
        def __reduce__(self):
            return (__import__, ("no_such_module_anywhere",))

    with pytest.raises(RunError, match="no_such_module_anywhere"):
        run(split([{}], "n", range(2)), lambda x: x, n_threads=2, progress=False)(Unreadable())


def test_the_executor_follows_the_contract():
    with LocalExecutor(2) as executor:
        assert list(executor.map(pow, [2, 3], [4, 5])) == [16, 243]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()
        with pytest.raises(dj.WorkerDied, match="exit status 3"):
            executor.submit(os._exit, 3).result()
        assert executor.submit(abs, -1).result() == 1
        big = executor.submit(bytes, 5_000_000).result()
        assert len(big) == 5_000_000
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(abs, 1)


def test_exits_are_told_in_words():
    assert describe_exit(-11) == "was killed by SIGSEGV"
    assert describe_exit(0) == "ended with exit status 0"
    assert "250" in describe_exit(-250)


# -- stopping: a script is run and gets real signals
# ----------------------------------------------------------------

SCRIPT = """
import json, os, sys, time
from pathlib import Path
from typing import Any
import datajuicer as dj

@dj.cachable()
def train(n, job):
    file = job.folder / "checkpoint"
    start = int(file.read_text()) if file.exists() else 0
    Path(sys.argv[1], f"started-{n}-from-{start}-{os.getpid()}").touch()
    for step in range(start, 4):
        while not Path(sys.argv[1], "go").exists():
            if job.stop_requested():
                file.write_text(str(step + 1))
                if STUBBORN:
                    Path(sys.argv[1], f"stopping-{n}").touch()
                    time.sleep(1000)
                raise dj.Interrupted("checkpoint written")
            time.sleep(0.01)
        job.progress(step + 1, 4)
    return start

@dj.cachable()
def evaluate(n):
    Path(sys.argv[1], f"started-{n}-from-0-{os.getpid()}").touch()
    while not Path(sys.argv[1], "go").exists():
        time.sleep(0.01)
    return n

STUBBORN = len(sys.argv) > 4
grid = dj.split([{}], "n", range(3))
store = Path(sys.argv[1]) / "sessions"
try:
    print(dj.run(grid, globals()[sys.argv[2]], n_threads=int(sys.argv[3]), cache_dir=store)("{n}"))
except dj.Interrupted as stop:
    print("interrupted:", stop)
    sys.exit(130)
"""


class Script:
    def __init__(self, folder, *arguments):
        self.folder = folder
        path = folder / "script.py"
        path.write_text(SCRIPT)
        command = [sys.executable, str(path), str(folder), *map(str, arguments)]
        root = str(Path(dj.__file__).parents[1])
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
            start_new_session=True,
        )

    def wait_for(self, pattern, count):
        deadline = time.monotonic() + 60
        while len(found := list(self.folder.glob(pattern))) < count:
            assert time.monotonic() < deadline, self.process.communicate()
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        return found

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def is_alive(path):
    pid = path.name.rpartition("-")[2]
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def all_dead(paths):
    deadline = time.monotonic() + 30
    while any(map(is_alive, paths)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_signal_asks_for_checkpoints_and_the_next_run_goes_on_from_them(tmp_path, number, n_threads):
    script = Script(tmp_path, "train", n_threads)
    started = script.wait_for("started-*", n_threads)
    script.process.send_signal(number)
    code, out, err = script.end()
    assert code == 130, err
    assert "the same run goes on from here" in out
    assert all_dead(started)
    assert not list(tmp_path.rglob("*.json"))  # nothing is recorded
    assert not list(tmp_path.rglob("*.claim.*"))
    assert len(list(tmp_path.rglob("checkpoint"))) == n_threads
    (tmp_path / "go").touch()
    code, out, err = Script(tmp_path, "train", n_threads).end()
    assert code == 0, err
    assert sorted(eval(out)) == sorted([1] * n_threads + [0] * (3 - n_threads))


def test_a_second_signal_ends_workers_that_do_not_stop(tmp_path):
    script = Script(tmp_path, "train", 2, "stubborn")
    started = script.wait_for("started-*", 2)
    script.process.send_signal(signal.SIGINT)
    script.wait_for("stopping-*", 2)
    script.process.send_signal(signal.SIGINT)
    code, _, _ = script.end()
    assert code != 0
    assert all_dead(started)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_functions_without_a_checkpoint_stop_at_the_first_signal(tmp_path, n_threads):
    script = Script(tmp_path, "evaluate", n_threads)
    started = script.wait_for("started-*", n_threads)
    script.process.send_signal(signal.SIGINT)
    code, _, err = script.end()
    assert code == 130, err
    assert all_dead(started)
    assert not list(tmp_path.rglob("*.json"))


def test_a_worker_that_is_asked_to_stop_by_others_is_no_recorded_failure(tmp_path):
    """As on a cluster that wants its node back."""

    @cachable(table_name="f")
    def f(n):
        if n == 1 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        return n

    grid = split([{}], "n", range(3))
    with pytest.raises(RunError, match="asked to stop") as caught:
        run(grid, f, n_threads=2, progress=False, cache_dir=tmp_path / "s")("{n}")
    assert caught.value.results == [0, None, 2]
    assert run(grid, f, n_threads=2, progress=False, cache_dir=tmp_path / "s")("{n}") == [0, 1, 2]


def test_workers_end_when_the_parent_is_killed(tmp_path):
    script = Script(tmp_path, "train", 2)
    started = script.wait_for("started-*", 2)
    script.process.kill()
    script.end()
    assert all_dead(started)
    assert len(list(tmp_path.rglob("checkpoint"))) == 2  # they were asked for a last one
    (tmp_path / "go").touch()
    code, out, err = Script(tmp_path, "train", 2).end()
    assert code == 0, err
    assert sorted(eval(out)) == [0, 1, 1]


def test_progress_false_says_nothing(tmp_path, capfd):
    run(split([{}], "n", range(3)), facts, n_threads=2, progress=False, cache_dir=tmp_path)("{n}")
    assert capfd.readouterr() == ("", "")


@cachable()
def slow(n):
    time.sleep(3600 if n == 1 else 0)
    return n


def test_a_time_limit_ends_what_takes_too_long_and_nothing_else(tmp_path):
    with pytest.raises(RunError) as error:
        run(split([{}], "n", [0, 1, 2]), slow, cache_dir=tmp_path, time_limit=1.5)("{n}")
    assert error.value.results == [0, None, 2]
    assert "not ready within its time limit of 1.5 s" in error.value.failures[0].error
    wrong: Any
    for wrong in (0, "1:00"):
        with pytest.raises(dj.UsageError, match="number of seconds"):
            run([{}], slow, cache_dir=tmp_path, time_limit=wrong)
    with pytest.raises(dj.UsageError, match="its own limit"):
        run([{}], slow, cache_dir=tmp_path, time_limit=1, executor=LocalExecutor(1))
