"""Programs are compiled side by side before they are called, once each."""

import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxrobust.data.dataset import Examples
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.training import compilation
from jaxrobust.training.compilation import compile_side_by_side
from jaxrobust.training.loop import train
from jaxrobust.training.methods import ForwardNoise
from jaxrobust.training.probes import Probes, UnderPerturbation
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training


class Compilations:
    """The names of what XLA compiles from now on, by kind of thread."""

    def __init__(self):
        self.in_pool, self.elsewhere = [], []
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            is_in_pool = threading.current_thread().name.startswith("compile")
            (self.in_pool if is_in_pool else self.elsewhere).append(fun_name)


def examples(n: int) -> Examples:
    rng = np.random.default_rng(n)
    return Examples(rng.standard_normal((n, 4)).astype(np.float32), (np.arange(n) % 3).astype(np.int32))


def models(folder: Path, n: int) -> list[Training]:
    return [
        Training(
            network=MLP(n_in=4, n_hidden=(11,), n_out=3),
            method=ForwardNoise(0.1 + seed),
            schedule=Phases((1.0,), (0.01,)),
            optimizer="adam",
            batch_size=7,
            seed=seed,
            eval_step_interval=4,
            folder=folder / str(seed),
            probes=Probes({"noise": UnderPerturbation(GaussianMismatch(0.3), n_draws=2)}, step_interval=4),
        )
        for seed in range(n)
    ]


@pytest.mark.parametrize(
    ("n", "mapping", "precision"),
    [(1, None, "float32"), pytest.param(2, "vmap", None, marks=pytest.mark.slow)],
)
def test_both_programs_are_compiled_in_threads_and_nowhere_else(tmp_path, n, mapping, precision):
    """Under the precision of the thread that trains, too, which other threads do not know."""
    data = examples(60), examples(33)
    counted = Compilations()
    with jax.default_matmul_precision(precision):
        train(models(tmp_path / "one", n), *data, mapping=mapping)
        assert sorted(counted.in_pool) == ["jit(train_block)", "jit(validate)"]
        assert "jit(run_probes)" in counted.elsewhere
        assert not {"jit(train_block)", "jit(validate)"} & set(counted.elsewhere)
        n_others = len(counted.elsewhere)
        train(models(tmp_path / "other", n), *data, mapping=mapping)
    assert len(counted.in_pool) == 2
    assert len(counted.elsewhere) == n_others


def test_programs_are_compiled_at_the_same_time(monkeypatch):
    """Each waits until the other has begun."""
    monkeypatch.setattr(compilation.os, "cpu_count", lambda: 2)
    barrier = threading.Barrier(2, timeout=60)

    class Program:
        def compile(self):
            barrier.wait()

    compile_side_by_side([Program(), Program()])
    assert not barrier.broken


def test_what_cannot_be_compiled_is_left_to_the_call():
    class Program:
        def compile(self):
            raise RuntimeError("no such instruction")

    compile_side_by_side([Program()])
