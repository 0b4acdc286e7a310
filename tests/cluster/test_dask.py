"""Dask: every worker gets calls, Ctrl-C stops within one call, and nobody else reaches the workers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import pytest

from datajuicer.clusters.dask_cluster import dask_cluster, job_cluster
from datajuicer.clusters.dask_executor import DaskExecutor, chunk_size
from datajuicer.clusters.site import Site

pytest.importorskip("distributed")
HERE = Path(__file__).parent

SCRIPT = """
import json, os, sys, time
import datajuicer as dj
from datajuicer.clusters.dask_cluster import dask_cluster
from datajuicer.clusters.site import Site

@dj.cachable()
def slow(n, seconds):
    with open("starts", "a") as file:
        file.write(f"{n} {os.getpid()} {os.getppid()}\\n")
    time.sleep(seconds)
    return os.getpid()

seconds = float(sys.argv[1])
with dask_cluster("local", 4, Site(), dj.Store("s").root) as executor:
    grid = dj.split([{}], "n", range(12))
    print(json.dumps(dj.run(grid, slow, cache_dir="s", executor=executor)("{n}", seconds)))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    started = []

    def run(seconds):
        process = subprocess.Popen(
            [sys.executable, "script.py", str(seconds)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()


@pytest.mark.parametrize(
    ("calls", "workers", "size"),
    [(12, 4, 1), (16, 2, 4), (1000, 4, 16), (1000, 64, 7), (1, 1, 1), (0, 4, 1), (3, 4, 1)],
)
def test_chunks_leave_two_for_every_worker(calls, workers, size):
    assert chunk_size(calls, workers) == size


def test_a_small_grid_is_computed_by_all_workers(start, tmp_path):
    out, err = start(0.3).communicate(timeout=100)
    assert len(set(json.loads(out))) == 4, err
    assert len((tmp_path / "starts").read_text().split("\n")) == 13


def test_ctrl_c_stops_within_one_call_and_tells_the_true_count(start, tmp_path):
    process = start(1.0)
    finished = 0
    while finished < 4:
        time.sleep(0.05)
        finished = len(list(tmp_path.glob("s/slow/??/*.json")))
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - before < 10
    records = len(list(tmp_path.glob("s/slow/??/*.json")))
    assert 4 <= records < 12
    assert f"stopped: {records} of 12 points are through" in err


def listening():
    """Ports on which this process listens, as (address, port)."""
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(link)))
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_on_one_machine_no_port_runs_code(tmp_path):
    before = listening()
    with dask_cluster("local", 2, Site(), tmp_path) as executor:
        opened = [one for one in listening() if one not in before]
        assert all(one.startswith("0100007F:") for one in opened)
        for one in opened:
            port = int(one.partition(":")[2], 16)
            with socket.create_connection(
                ("127.0.0.1", port), timeout=5
            ) as page:  # a web page, and an empty one
                page.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
                assert b" 404 " in page.recv(1000)
        assert executor.client.scheduler.address.startswith("inproc://")


def test_jobs_prove_that_they_belong_to_the_run(tmp_path, lsf):
    pytest.importorskip("cryptography")
    from distributed import Client, Security

    site = Site(cores=1, memory="100MB", set_up=("module load cuda",), login_shell=True)
    with job_cluster("lsf", site, tmp_path / "logs", Security.temporary()) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises((OSError, TypeError, ValueError, TimeoutError)):
            Client(address.replace("tls://", "tcp://"), timeout=2)
        with pytest.raises((OSError, TypeError, ValueError, TimeoutError)):
            Client(address, security=Security.temporary(), timeout=2)
        script = cluster.job_script()
        keys = re.findall(r"--tls-key (\S+)", script)
        assert keys
        assert all(Path(key).stat().st_mode & 0o077 == 0 for key in keys)
    assert script.startswith("#!/bin/bash -l\n")
    assert "exit 87" in script


def test_a_second_run_with_one_client_computes_after_a_stop(tmp_path):
    with dask_cluster("local", 2, Site(), tmp_path) as executor:
        executor.request_stop()
        stopped = executor.submit(os.getpid)
        wait([stopped], 20)
        assert stopped.exception() is not None
        again = DaskExecutor(executor.client)
        assert again.workers == 2
        assert again.submit(os.getpid).result(20) != os.getpid()


def test_what_is_not_sent_yet_can_be_cancelled(tmp_path):
    with dask_cluster("local", 2, Site(), tmp_path) as executor:
        future = executor.submit(os.getpid)
        executor.shutdown(cancel_futures=True)
        assert future.cancelled()
