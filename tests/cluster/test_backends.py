"""One suite for all back ends: twenty points, four planted failures, a submitter that is killed.

The LSF here is the stand-in (real processes); SLURM is the real one, under `make test-cluster`; a real LSF is
for people who have one (`pytest --lsf`).
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAILURES = {
    "3": "ValueError: planted",
    "7": "SIGSEGV",
    "11": "was killed: it was not ready",
    "15": "SIGKILL",
}
ARRAYS = ("lsf", "slurm", "real_lsf")


@pytest.fixture(
    params=[
        "local",
        "dask",
        "lsf",
        pytest.param("slurm", marks=pytest.mark.cluster),
        pytest.param("dask_slurm", marks=pytest.mark.cluster),
        pytest.param("real_lsf", marks=pytest.mark.lsf),
    ]
)
def backend(request, importable, starts):
    if request.param in ("lsf", "slurm", "dask_slurm"):
        request.getfixturevalue(request.param.removeprefix("dask_"))
    return request.param


@pytest.fixture
def store(backend, tmp_path):
    if backend != "real_lsf":
        return tmp_path / "store"
    folder = Path.home() / f".datajuicer-test-{time.time_ns()}"  # where its nodes see it
    folder.mkdir()
    return folder


def command(backend, store, *words):
    return [sys.executable, str(HERE / "compute.py"), backend.removeprefix("real_"), str(store), *words]


def compute(backend, store, *words):
    done = subprocess.run(
        command(backend, store, *words), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def records(store):
    return {p.name: p.read_text() for p in Path(store).glob("twenty/??/*.json") if p.name.count(".") == 1}


def test_twenty_points_with_four_failures_and_a_submitter_that_is_killed(
    backend, store, starts, tmp_path, monkeypatch
):
    if backend in ARRAYS:
        _kill_between_submission_and_reply(backend, tmp_path, monkeypatch, store)
    else:
        _kill_in_the_middle(backend, store)
    kept = records(store)

    found = compute(backend, store)
    failed = {n: state for n, (state, _) in found.items() if state != "done"}
    assert failed == dict.fromkeys(FAILURES, "failed")
    for n, reason in FAILURES.items():
        assert reason in found[n][1], (n, found[n])
    assert kept.items() <= records(store).items()
    assert len(records(store)) == 16
    again = {n for n, count in starts().items() if count > 1}
    if backend in ARRAYS:
        assert not again
        assert len(list((store / "campaigns").glob("*/plan.json"))) == 1
    else:  # only what had begun and had no result
        assert not again & {json.loads(text)["dependencies"]["n"] for text in kept.values()}

    kept, begun = records(store), starts()
    assert compute(backend, store) == found
    assert starts() == begun
    assert records(store) == kept


def _kill_in_the_middle(backend, store):
    process = subprocess.Popen(command(backend, store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(records(store)) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _kill_between_submission_and_reply(backend, folder, monkeypatch, store):
    """A command of the scheduler's name that submits, and kills who called it before it hears the answer."""
    name = {"lsf": "bsub", "real_lsf": "bsub", "slurm": "sbatch"}[backend]
    real = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
    wrapper = folder / "killing" / name
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\n"{real}" "$@" >/dev/null\nkill -KILL $PPID\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    with monkeypatch.context() as here:
        here.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
        done = subprocess.run(
            command(backend, store, "-submit"), capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode == -signal.SIGKILL
    assert not list((store / "campaigns").glob("*/job.json"))
