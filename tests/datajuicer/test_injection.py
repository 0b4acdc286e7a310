"""Every system call of a run fails once, in four kinds (injection.py); four processes share a store."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import datajuicer as dj

SCRIPT = Path(__file__).with_name("injection.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(dj.__file__).parents[1])}

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


def inject(folder, every):
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, str(every)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_some_calls_of_a_run_fail(tmp_path):
    counts = inject(tmp_path, 9)
    assert all(sum(counts[kind].values()) >= 7 for kind in ("error", "short", "lost", "kill"))
    assert set(counts["short"]) == {"unharmed"}


@pytest.mark.slow
def test_every_call_of_a_run_fails_once(tmp_path):
    counts = inject(tmp_path, 1)
    assert all(sum(counts[kind].values()) >= counts["calls"] for kind in ("error", "short", "lost", "kill"))


SOAK = """
import random, sys, time
import numpy as np
import datajuicer as dj

@dj.cachable(["n"])
def soak(n, job):
    (job.folder / "file.bin").write_bytes(bytes([n]) * 100)
    return {"n": n, "w": np.full(100, n), "file": job.artifact("file.bin")}

chance, end = random.Random(int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    grid = [{"n": chance.randrange(40)} for _ in range(5)]
    mode = chance.choice(["normal", "normal", "load_any", "force", "retry"])
    for value in dj.run(grid, soak, run_mode=mode, cache_dir=sys.argv[1], progress=False)("{n}"):
        assert (value["w"] == value["n"]).all()
        assert value["file"].path().read_bytes() == bytes([value["n"]]) * 100
"""


@pytest.mark.slow
def test_four_processes_for_two_minutes(tmp_path):
    """They compute, force, load and are killed; nothing recorded disappears and nothing is quarantined."""
    script, store, chance = tmp_path / "soak.py", dj.Store(tmp_path / "s"), random.Random(0)
    script.write_text(SOAK)
    end, known, seed = time.monotonic() + 120, set(), 0

    def start():
        nonlocal seed
        seed += 1
        left = str(max(1.0, end - time.monotonic()))
        return subprocess.Popen(
            [sys.executable, script, store.root, str(seed), left],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )

    processes = [start() for _ in range(4)]
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.5, 3))
        victim = chance.randrange(4)
        processes[victim].send_signal(signal.SIGKILL)
        processes[victim].communicate()
        processes[victim] = start()
        now = {record["key"] for record in store.records("soak")}
        assert known <= now
        known = now
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dj.verify(store).sound == len(known | {r["key"] for r in store.records("soak")})
    assert len(known) == 40
