"""Clusters for tests: the stand-in for LSF, and SLURM if it runs here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def lsf(tmp_path, monkeypatch) -> Path:
    """The folder of an LSF stand-in whose commands are on PATH."""
    folder = tmp_path / "lsf"
    (folder / "faults").mkdir(parents=True)
    monkeypatch.setenv("LSF_STAND_IN", str(folder))
    monkeypatch.setenv("LSF_STAND_IN_PYTHON", sys.executable)
    monkeypatch.setenv("PATH", f"{HERE / 'lsf'}{os.pathsep}{os.environ['PATH']}")
    yield folder
    (folder / "closed").touch()
    for job in (folder / "jobs").glob("*"):
        (job / "killed").touch()


@pytest.fixture
def slurm() -> None:
    """A SLURM that answers; skips without."""
    if (
        not shutil.which("sinfo")
        or subprocess.run(["sinfo", "-h"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no SLURM answers here: make test-cluster installs and starts one")


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """How often each point was started."""
    path = tmp_path / "starts"
    path.touch()
    monkeypatch.setenv("STARTS", str(path))

    def counts() -> dict[int, int]:
        numbers = [int(line) for line in path.read_text().split()]
        return {n: numbers.count(n) for n in numbers}

    return counts


@pytest.fixture
def importable(monkeypatch) -> None:
    """`import points` works here and in every process that is started from here."""
    path = os.pathsep.join([str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(HERE))
