"""Stages on a cluster: arrays that wait for arrays, chains that one element walks, parents that fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toys

ROOT = Path(__file__).resolve().parents[2]

JOB = ["-cores=1", "-memory=500MB", "-time=0:05", "-warning=0:01"]


@pytest.fixture(params=["bsub", pytest.param("slurm", marks=pytest.mark.cluster)])
def mode(request):
    request.getfixturevalue({"bsub": "lsf", "slurm": "slurm"}[request.param])
    return f"-mode={request.param}"


@pytest.fixture
def typed(tmp_path):
    """Types a command beside the toys, in a process of its own."""

    def type_(script: str, *words: str, seeds: str = "[0, 1]", status: int = 0) -> str:
        if not (tmp_path / "experiments").exists():
            toys.write(tmp_path, seeds)
            for name in ("train.py", "make_figures.py"):
                (tmp_path / name).write_text((ROOT / name).read_text())
        done = subprocess.run(
            [sys.executable, script, *words],
            cwd=tmp_path,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return type_


def test_two_stages_and_a_chain_are_sent_at_once_and_computed_in_order(mode, typed, tmp_path):
    sent = typed("train.py", "-exp=chain,pairs", mode, "-wait", *JOB)
    # trained networks; then the first round with the second behind it; then pairs
    assert re.findall(r": (\d+) models in (\d+) jobs", sent) in (
        [("2", "2"), ("6", "4")],
        [("2", "2"), ("4", "2"), ("2", "2")],
    )
    assert sent.rstrip().endswith("8 done, 0 running, 0 failed, 0 missing")
    again = typed("train.py", "-exp=chain,pairs", mode, "-wait", *JOB)
    assert "submitted" not in again
    typed("train.py", "-exp=chain,pairs")
    assert "2 of 2 experiments drawn" in typed("make_figures.py", "-exp=chain,pairs")


def test_results_that_ship_are_parents_of_what_is_sent(mode, typed, tmp_path):
    typed("train.py", "-exp=pairs", "-sessions=sessions")  # its two networks are those of the chain
    before = {path: path.read_bytes() for path in (tmp_path / "sessions").rglob("*.*")}
    sent = typed("train.py", "-exp=chain", mode, "-wait", *JOB)
    assert re.findall(r": (\d+) models in (\d+) jobs", sent) == [("4", "2")]
    assert sent.rstrip().endswith("6 done, 0 running, 0 failed, 0 missing")
    assert len(list(tmp_path.glob("my_sessions/prune/??/*.json"))) == 4
    assert {path: path.read_bytes() for path in (tmp_path / "sessions").rglob("*.*")} == before
    assert "1 of 1 experiments drawn" in typed("make_figures.py", "-exp=chain")


def test_an_element_whose_parent_failed_ends_with_one_sentence(mode, typed, tmp_path):
    said = typed("train.py", "-exp=chain", mode, "-wait", *JOB, seeds="[0, 13]", status=1)
    assert "3 done, 0 running, 0 pending, 0 suspended, 1 failed, 0 lost, 0 missing, 2 waiting" in said
    status = typed("train.py", "-exp=chain", "-status")
    assert re.search(r"waiting .*: it was not computed, because learn \(.*seed=13.*\) has no result", status)
    assert "planted" in status


def test_what_is_pending_is_shown_and_cancelled_with_its_followers(lsf, typed):
    (lsf / "closed").touch()
    script = typed("train.py", "-exp=chain", "-mode=bsub", "-print_script", *JOB)
    assert re.search(r'^#BSUB -w "ended\(<chain-[0-9a-f]{6}>\)"$', script, re.MULTILINE)
    typed("train.py", "-exp=chain", "-mode=bsub", *JOB)
    assert typed("train.py", "-exp=chain", "-status").startswith("0 done, 0 running, 6 pending")
    assert typed("train.py", "-exp=chain", "-cancel").count("cancelled chain-") == 2
