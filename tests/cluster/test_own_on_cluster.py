"""A network, a method and data of one's own in queued jobs, which import the user's file by its name."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = '''
from dataclasses import dataclass

import jax
import jax.numpy as jnp

import jaxrobust as jr


def init(key, shape, n_outputs, width=8):
    first, second = jax.random.split(key)
    return {
        "w1": jax.random.normal(first, (*shape, width)),
        "w2": jax.random.normal(second, (width, n_outputs)),
    }


def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w1"]) @ parameters["w2"]


jr.networks.register("queued", init=init, apply=apply, settings={"width": 8})


@dataclass(frozen=True)
class Small:
    """Penalizes large logits."""

    weight: float = 0.1

    def loss(self, objective, parameters, key):
        loss, outputs = objective.loss(parameters, key)
        return loss + self.weight * jnp.mean(outputs.logits**2), outputs


jr.methods.register("small", Small)
'''
WORDS = ["-arch=queued", "-import=files/queued_file.py", "-dataset=mine.npz", "-method=small", "-width=5",
         "-schedule.n_epochs=2", "-batch_size=10", "-eval_step_interval=1"]  # fmt: skip
JOB = ["-cores=1", "-memory=1500MB", "-time=0:05", "-warning=0:01"]


@pytest.fixture(params=["bsub", pytest.param("slurm", marks=pytest.mark.cluster)])
def mode(request):
    request.getfixturevalue({"bsub": "lsf", "slurm": "slurm"}[request.param])
    return f"-mode={request.param}"


@pytest.fixture
def typed(tmp_path):
    """Types a command in the user's folder."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "queued_file.py").write_text(FILE)
    inputs = np.random.default_rng(0).normal(size=(60, 4))
    np.savez(tmp_path / "mine.npz", train_inputs=inputs, train_labels=inputs[:, 0] > 0)

    def type_(*words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *WORDS, *words],
            cwd=tmp_path,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return type_


def test_a_queued_job_imports_the_users_file(mode, typed, tmp_path):
    said = typed(mode, "-wait", *JOB)
    assert "1 models in 1 jobs" in said
    assert "\n1 done, 0 running, 0 failed, 0 missing" in said
    assert len(list(tmp_path.rglob("parameters.safetensors"))) == 1
    (record,) = tmp_path.glob("my_sessions/train_point/*/*.json")
    assert all(word in record.read_text() for word in ("queued_file:init", "queued_file:Small", "mine@"))


@pytest.mark.slow
def test_workers_of_dask_import_the_users_file(typed):
    typed("-mode=dask", "-n_threads=2")
    assert typed("-status").startswith("1 done")


@pytest.mark.slow
def test_a_file_that_is_gone_when_the_job_starts_is_named(lsf, typed, tmp_path):
    (lsf / "closed").touch()
    typed("-mode=bsub", *JOB)
    file = tmp_path / "files" / "queued_file.py"
    source = file.read_text()
    file.write_text(source.replace("def init", "def start").replace("init=init", "init=start"))
    (lsf / "closed").unlink()
    until = time.monotonic() + 60
    while not list(
        tmp_path.glob("my_sessions/campaigns/*/elements/1.json")
    ) or "cannot import" not in "".join(
        path.read_text() for path in tmp_path.glob("my_sessions/campaigns/*/elements/1.json")
    ):
        assert time.monotonic() < until
        time.sleep(0.1)
    file.write_text(source)
    assert "cannot import what a point holds (AttributeError: " in typed("-status")
    assert "\n1 done, 0 running, 0 failed, 0 missing" in typed("-mode=bsub", "-retry", "-wait", *JOB)
