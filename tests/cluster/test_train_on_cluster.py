"""train.py on a cluster as a user types it: array jobs, the wall time, words that are wrong, Dask."""

import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from datajuicer.clusters import submission

ROOT = Path(__file__).resolve().parents[2]
MODEL = ["-arch=digits_mlp", "-n_epochs=20,5", "-eval_step_interval=10", "-n_attack_steps=2"]
JOB = ["-cores=1", "-memory=1500MB"]


@pytest.fixture(params=["bsub", pytest.param("slurm", marks=pytest.mark.cluster)])
def mode(request):
    request.getfixturevalue({"bsub": "lsf", "slurm": "slurm"}[request.param])
    return f"-mode={request.param}"


def train(*words, cwd, status=0):
    cwd.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def warn(mode, folder):
    """What the scheduler does some time before the wall time is over, to the one job sent from a folder."""
    if mode == "-mode=bsub":
        (Path(os.environ["LSF_STAND_IN"]) / "jobs" / "1" / "1.warn").touch()
    else:
        jobs = subprocess.run(["squeue", "-h", "-o", "%F_%K %Z"], capture_output=True, text=True, check=True)
        (element,) = [line.split()[0] for line in jobs.stdout.splitlines() if line.endswith(f" {folder}")]
        subprocess.run(["scancel", "--batch", "--signal=USR1", element], check=True)


@pytest.fixture(scope="module")
def program():
    """The main function behind train.py with the experiments beside it, imported once for many words."""
    from jaxrobust.cli.train import main

    return partial(main, folder=ROOT / "experiments")


@pytest.fixture
def typed(program, monkeypatch, capsys):
    """Types a command in a folder; gives what was printed. Here, since starting JAX takes seconds."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    def type_(*words: str, cwd: Path) -> str:
        cwd.mkdir(exist_ok=True)
        with monkeypatch.context() as here:
            here.chdir(cwd)
            status = program(list(words))
        output = capsys.readouterr()
        assert status == 0, output
        return output.out

    return type_


def test_a_training_interrupted_by_the_wall_time_gives_the_same_bits(mode, typed, tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    assert "submitted digits_mlp-" in typed(*MODEL, mode, *JOB, cwd=here)
    until = time.monotonic() + 120
    while not any(path.read_text().count("\n") for path in here.rglob("metrics.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.05)
    warn(mode, here)
    again = typed(*MODEL, mode, "-wait", *JOB, cwd=here)
    assert again.startswith("1 done")  # and nothing was submitted
    (trace,) = here.glob("my_sessions/campaigns/*/elements/1.json")
    assert '"starts": 2' in trace.read_text()
    typed(*MODEL, mode, "-wait", *JOB, cwd=elsewhere)
    (interrupted,) = here.rglob("parameters.safetensors")
    (uninterrupted,) = elsewhere.rglob("parameters.safetensors")
    assert interrupted.read_bytes() == uninterrupted.read_bytes()


def test_status_cancel_and_script_of_an_experiment(lsf, typed, tmp_path):
    (lsf / "closed").touch()
    words = ["-exp=quickstart", "-n_epochs=1,1"]
    script = typed(*words, "-mode=bsub", "-print_script", "-models_per_job=2", cwd=tmp_path)
    assert '#BSUB -J "quickstart-' in script
    assert not (tmp_path / "my_sessions").exists()
    sent = typed(*words, "-mode=bsub", "-models_per_job=2", *JOB, cwd=tmp_path)
    points, elements = map(int, re.search(r"(\d+) models in (\d+) jobs", sent).groups())
    assert (points, elements) == (8, 4)
    found = typed(*words, "-status", cwd=tmp_path)
    assert found.startswith("0 done, 0 running, 8 pending, 0 suspended, 0 failed, 0 lost, 0 missing")
    assert found.count("  pending   -arch=") == 8
    assert "cancelled quickstart-" in typed(*words, "-cancel", cwd=tmp_path)
    assert (lsf / "jobs" / "1" / "killed").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-mode=bsubb"], "Did you mean 'bsub'?"),
        (["-mode=bsub", "-cores=many"], "cores must be a whole number"),
        (["-mode=bsub", "-cores=0"], "at least 1"),
        (["-mode=bsub", "-time=24h"], "must be H:MM"),
        (["-mode=bsub", "-memory=4096"], "needs a unit"),
        (["-mode=bsub", "-queue=nix"], "nix: No such queue"),
        (["-mode=slurm", "-profile=none"], "has no profile 'none'"),
        (["-mode=slurm", "-launch_settings=none.toml"], "none.toml cannot be read"),
        (["-mode=bsub", "-force"], "-force computes here"),
        (["-mode=bsub", "-n_threads=4"], "there is -max_running"),
        (["-mode=dask", "-dask_cluster=pbs"], "none of local, lsf, slurm"),
        (["-mode=dask", "-cores=4"], "-cores means something only with"),
        (["-cores=4"], "-cores means something only with"),
        (["-wait"], "-wait means something only with"),
        (["-print_script"], "-print_script means something only with"),
        (["-dask_cluster=slurm"], "means something only with -mode=dask"),
    ],
)
def test_bad_input_is_one_sentence_and_submits_nothing(
    program, lsf, words, says, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submission, "ASK_AGAIN", ())
    assert program([*MODEL, *words]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert len([line for line in errors.splitlines() if line.startswith("error")]) == 1
    assert not list(tmp_path.glob("my_sessions/campaigns/*/plan.json"))
    assert not list(lsf.glob("jobs/*"))


@pytest.mark.parametrize(("mode", "command"), [("bsub", "bjobs"), ("slurm", "sbatch")])
def test_no_scheduler_on_path(program, mode, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert program([*MODEL, f"-mode={mode}"]) == 2
    assert f"there is no {command} on PATH" in capsys.readouterr().err
    assert not list(tmp_path.glob("my_sessions/campaigns/*/plan.json"))


@pytest.mark.slow
def test_an_experiment_through_dask(tmp_path):
    words = ["-exp=quickstart", "-n_epochs=1,1", "-n_attack_steps=1", "-batch_size=200"]
    done = train(*words, "-mode=dask", "-n_threads=2", cwd=tmp_path)
    assert "models trained and evaluated" in done.stdout
    assert train(*words, cwd=tmp_path).stderr == ""  # nothing is left to compute
