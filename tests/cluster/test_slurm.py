"""What happens to jobs on a real SLURM: hold, requeue, preemption, a controller that restarts, two shells.

Run by `make test-cluster`, on the SLURM that tests/cluster/start_slurm.sh configures.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters import survey
from datajuicer.clusters.site import Site
from datajuicer.clusters.slurm import Slurm
from datajuicer.clusters.submission import SubmitOptions, cancel, submit
from datajuicer.running.plan import plan

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("slurm")]

HERE = Path(__file__).parent
SITE = Site(time="0:10", warning="0:02", cores=1, memory="200MB")
KNOWN = {"slurm": Slurm()}
NODE = os.uname().nodename.partition(".")[0]
LONG = 100_000


@pytest.fixture
def store(tmp_path):
    store = dj.Store(tmp_path / "store")
    yield store
    for campaign in campaigns.read_all(store):
        if job := campaigns.known_job(store, campaign):
            subprocess.run(["scancel", "--quiet", f"--name={campaign.name}", job], check=False)


@pytest.fixture
def points(importable, starts):
    import points

    return points


def counting(points, *numbers, until=LONG):
    return plan([{"n": n} for n in numbers], points.counting, ("{n}", until), {})


def send(store, calls, site=SITE, known=KNOWN, **more):
    return submit(store, calls, SubmitOptions(known["slurm"], site, "grid", **more), known)


def look(store, calls):
    return survey.survey(store, calls, KNOWN)


def states(store, calls):
    return [one.state for one in look(store, calls)]


def job(store, campaign):
    return campaigns.known_job(store, campaign)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.3)


def test_states_from_pending_to_done(store, points, starts):
    calls = counting(points, 0, until=100)
    (campaign,) = send(
        store, calls, Site(time="0:10", warning="0:02", cores=1, memory="200MB", extra=("--hold",))
    )
    (one,) = look(store, calls)
    assert (one.state, "JobHeld" in one.reason) == ("pending", True)
    run("scontrol", "release", job(store, campaign))
    until(lambda: starts() == {0: 1})
    assert states(store, calls) == ["running"]
    run("scontrol", "suspend", job(store, campaign))
    until(lambda: states(store, calls) == ["suspended"])
    run("scontrol", "resume", job(store, campaign))
    until(lambda: states(store, calls) == ["done"])


def test_a_job_that_is_queued_again_by_hand_goes_on(store, points, starts):
    calls = counting(points, 0)
    (campaign,) = send(store, calls)
    until(lambda: starts() == {0: 1})
    run("scontrol", "requeue", f"{job(store, campaign)}_1")
    until(lambda: starts() == {0: 2})
    assert states(store, calls) == ["running"]
    assert send(store, calls, retry=True) == []


def test_a_job_that_is_preempted_comes_back(store, points, starts, tmp_path):
    calls = counting(points, 0)
    send(store, calls, replace(SITE, cores=8, memory="20MB"))
    until(lambda: starts() == {0: 1})
    run(
        "sbatch",
        "--partition=urgent",
        "--cpus-per-task=8",
        "--mem=100M",
        f"--output={tmp_path}/o",
        "--wrap=sleep 5",
    )
    until(lambda: states(store, calls) == ["pending"])
    assert send(store, calls, retry=True) == []
    until(lambda: starts() == {0: 2})


def test_a_number_that_is_another_job_by_now(store, points, tmp_path):
    calls = counting(points, 0)
    (campaign,) = send(store, calls)
    cancel(store, look(store, calls), KNOWN)
    campaigns.cancel_mark(store, campaign.name).unlink()
    words = [
        "sbatch",
        "--parsable",
        "--array=1",
        "--job-name=theirs",
        f"--output={tmp_path}/o",
        "--wrap=sleep 60",
    ]
    theirs = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    campaigns.set_job(store, campaign.name, theirs)
    assert states(store, calls) == ["lost"]
    KNOWN["slurm"].cancel(theirs, campaign.name)
    time.sleep(2)
    (seen,) = KNOWN["slurm"].poll([theirs]).values()
    assert seen.state in ("pending", "running")
    KNOWN["slurm"].cancel(theirs, "theirs")
    until(lambda: {one.state for one in KNOWN["slurm"].poll([theirs]).values()} == {"ended"})


def test_two_shells_at_once_send_one_array(store, points):
    words = [sys.executable, str(HERE / "compute.py"), "slurm", str(store.root), "-submit"]
    shells = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [shell.communicate(timeout=100)[0] for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0]
    assert len(campaigns.read_all(store)) == 1
    for out in said:
        found = {state for state, _ in json.loads(out).values()}
        assert found <= {"pending", "running", "done", "failed"}


def test_causes_on_a_real_slurm(store, points, starts):
    """A set_up that fails, and a Python that is not there."""
    calls = counting(points, 0)
    send(store, calls, replace(SITE, set_up=("module load no/such",)))
    until(lambda: states(store, calls) == ["lost"])
    (one,) = look(store, calls)
    assert one.reason.startswith("a command of set_up failed on its node")
    assert "logs/1.txt ends with" in one.reason
    assert starts() == {}


@pytest.mark.skipif(os.getuid() != 0, reason="restarts the controller, which only root can")
def test_a_controller_that_ends_and_starts_again(store, points, starts):
    calls, held = counting(points, 0, 1), counting(points, 9)
    send(store, calls)
    send(store, held, replace(SITE, extra=("--hold",)))
    until(lambda: starts() == {0: 1, 1: 1})
    os.kill(int(Path("/run/slurmctld.pid").read_text()), signal.SIGTERM)  # after SIGKILL it gives ids twice
    until(lambda: not Path("/run/slurmctld.pid").exists())
    try:
        more = counting(points, 0, 1, 2)
        with pytest.raises(dj.UsageError, match="not known whether grid-"):
            submit(
                store, more, SubmitOptions(Slurm(patience=5.0), SITE, "grid"), {"slurm": Slurm(patience=5.0)}
            )
        assert states(store, calls) == ["running", "running"]  # as their claims show
        impatient = survey.survey(store, held, {"slurm": Slurm(patience=5.0)})
        assert [one.state for one in impatient] == ["unknown"]
    finally:
        run("slurmctld")
        until(lambda: not subprocess.run(["sinfo"], capture_output=True, check=False).returncode)
        # it drains a node whose jobs it does not know of; that is its own affair
        subprocess.run(["scontrol", "update", f"NodeName={NODE}", "State=resume"], check=False)
    until(lambda: states(store, more) == ["running", "running", "missing"])
    assert states(store, held) == ["pending"]
    cancel(store, look(store, held), KNOWN)
    assert states(store, held) == ["missing"]
    assert len(send(store, more)) == 1
    until(lambda: starts() == {0: 1, 1: 1, 2: 1})
