"""The training loop: what it sees, keeps, writes down, compiles, and survives."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.training.batches import batch_indices
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.files import CHECKPOINT, METRICS
from jaxrobust.training.loop import train
from jaxrobust.training.methods import FiringRates, ForwardNoise, ParameterAttackTraining, Standard
from jaxrobust.training.metrics import MetricsLog
from jaxrobust.training.optimizers import Step
from jaxrobust.training.probes import Probes, UnderPerturbation
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training, TrainingDiverged, TrainingStopped

ROBUST = ParameterAttackTraining(
    base=ForwardNoise(std=0.1), beta=0.5, attack=ParameterAttack(relative_size=0.1, n_steps=2)
)


def blobs(n: int, seed: int) -> Examples:
    """Three overlapping clouds of points in four dimensions."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3).astype(np.int32)
    centres = np.array([[1, 0, 0, -1], [0, 1, -1, 0], [-1, -1, 1, 1]])
    return Examples((centres[labels] + 0.7 * rng.standard_normal((n, 4))).astype(np.float32), labels)


def a_training(folder: Path, **changes) -> Training:
    """8.6 steps an epoch, 43 steps in all: no block and no epoch ends with a full one."""
    training = Training(
        network=MLP(n_in=4, n_hidden=(8,), n_out=3),
        method=Standard(),
        schedule=Phases(n_epochs=(3.0, 2.0), learning_rates=(0.01, 0.001)),
        optimizer="adam",
        batch_size=7,
        seed=0,
        eval_step_interval=10,
        folder=folder,
    )
    return replace(training, **changes)


def run(*trainings: Training, **how):
    return train(trainings, blobs(60, 0), blobs(33, 1), **how)


def assert_same(one, other, tolerance=0.0):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


# --- what training keeps ---


def test_training_learns_and_keeps_the_best_validation(tmp_path):
    training = a_training(tmp_path, schedule=Phases((20.0,), (0.02,)))
    (trained,) = run(training)
    accuracies = trained.history["validation_accuracy"]
    assert trained.n_steps == 172
    assert trained.history["step"] == [*range(10, 171, 10), 172]
    assert trained.validation_score == max(accuracies) > 0.8
    # The first of several equal ones.
    assert trained.best_step == trained.history["step"][accuracies.index(max(accuracies))]
    logits = training.network.forward(trained.parameters, trained.statistics, blobs(33, 1).inputs).logits
    assert np.mean(np.argmax(logits, axis=1) == blobs(33, 1).labels) == pytest.approx(
        trained.validation_score
    )


def test_only_a_strictly_better_validation_replaces_the_best(tmp_path):
    (trained,) = run(a_training(tmp_path, schedule=Phases((5.0,), (0.0,))))
    assert len(set(trained.history["validation_accuracy"])) == 1
    assert trained.best_step == 10


def test_training_metrics_are_means_over_the_interval(tmp_path):
    """Without learning, the mean of a whole epoch of batches is that of the whole training set."""
    training = a_training(tmp_path, schedule=Phases((1.0,), (0.0,)), batch_size=6, eval_step_interval=10)
    (trained,) = run(training)
    data = blobs(60, 0)
    logits = training.network.forward(trained.parameters, {}, data.inputs).logits
    log_p = jax.nn.log_softmax(logits)
    (loss,), (accuracy,) = trained.history["loss"], trained.history["training_accuracy"]
    assert loss == pytest.approx(-np.mean(np.asarray(log_p)[np.arange(60), data.labels]), rel=1e-5)
    assert accuracy == pytest.approx(np.mean(np.argmax(logits, 1) == data.labels))


def test_first_step_of_adam_equals_the_textbook(tmp_path):
    training = a_training(tmp_path, schedule=Phases((0.1,), (0.01,)), eval_step_interval=1)
    key, _ = jax.random.split(jax.random.key(0))
    parameters, _ = training.network.init(key)
    data = blobs(60, 0)
    first = batch_indices(0, 0, 1, batch_size=7, n_samples=60)[0]

    def loss(p):
        log_p = jax.nn.log_softmax(training.network.forward(p, {}, data.inputs[first]).logits)
        return -jnp.mean(log_p[np.arange(7), data.labels[first]])

    gradient = jax.grad(loss)(parameters)
    expected = jax.tree.map(lambda p, g: p - 0.01 * g / (jnp.abs(g) + 1e-8), parameters, gradient)
    (trained,) = run(training)
    assert trained.n_steps == 1
    assert_same(trained.parameters, expected, tolerance=1e-6)


# --- metrics and checkpoints ---


def test_metrics_after_the_last_checkpoint_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, up_to_step=0)
    for step in (10, 20, 30):
        log.append(step=step, loss=float("nan") if step == 30 else 1.0)
    assert json.loads(path.read_text().splitlines()[2]) == {"step": 30, "loss": None}
    path.write_text(path.read_text() + '{"step": 40, "lo')  # killed while it wrote

    resumed = MetricsLog(path, up_to_step=20)
    assert resumed.history() == {"step": [10, 20], "loss": [1.0, 1.0]}
    resumed.append(step=30, loss=0.5)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [10, 20, 30]


def test_checkpoints_of_another_network_are_refused(tmp_path):
    save_tree(tmp_path / "a.safetensors", {"w": np.zeros((2, 3), np.float32)}, note="x")
    tree, metadata = load_tree(tmp_path / "a.safetensors", like={"w": np.zeros((2, 3), np.float32)})
    np.testing.assert_array_equal(tree["w"], 0)
    assert metadata == {"note": "x"}
    with pytest.raises(InputError, match="does not fit this network: w is"):
        load_tree(tmp_path / "a.safetensors", like={"w": np.zeros((3, 2), np.float32)})
    (tmp_path / "a.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(InputError, match="cannot be read"):
        load_tree(tmp_path / "a.safetensors", like={"w": np.zeros((2, 3), np.float32)})


def test_stopped_and_resumed_training_ends_with_the_same_bits(tmp_path):
    (whole,) = run(a_training(tmp_path / "whole", method=ROBUST))
    stopped = a_training(tmp_path / "stopped", method=ROBUST)
    calls = []

    def stop_requested():
        calls.append(0)
        return len(calls) == 3

    with pytest.raises(TrainingStopped, match="the checkpoint is written"):
        run(stopped, stop_requested=stop_requested)
    (resumed,) = run(stopped)
    assert_same(resumed.parameters, whole.parameters)
    assert resumed.history == whole.history


PROBES = Probes({"mismatch": UnderPerturbation(GaussianMismatch(0.3), n_draws=2)}, step_interval=3)
KILLED_OPTIONS = {"method": ROBUST, "eval_step_interval": 2, "probes": PROBES, "keep_steps": (0, 2, 7, 40)}
KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_training import KILLED_OPTIONS, a_training, run
run(
    a_training(Path(sys.argv[2]), **KILLED_OPTIONS),
    checkpoint_seconds=0.0,
    progress=lambda *_: time.sleep(0.2),
)
"""


def test_killed_training_resumes_and_ends_with_the_same_bits(tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder)])
    deadline = time.monotonic() + 120
    while not (folder / CHECKPOINT).exists():
        assert process.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    lines = (folder / METRICS).read_text().splitlines()
    assert len(lines) < 22
    training = a_training(folder, **KILLED_OPTIONS)
    (resumed,) = run(training)
    (whole,) = run(replace(training, folder=tmp_path / "whole"))
    assert_same((resumed.parameters, resumed.kept), (whole.parameters, whole.kept))
    assert set(resumed.kept) == {0, 2, 7, 40}
    assert resumed.history == whole.history
    assert sum(value is not None for value in resumed.history["mismatch"]) == 16  # 0, 3, ..., 42 and 43
    assert resumed.best_step == whole.best_step


# --- many models in one program ---


@pytest.mark.parametrize("mapping", ["vmap", "map"])
def test_models_side_by_side_learn_what_each_learns_alone(tmp_path, mapping):
    schedule = Phases((0.9,), (0.01,))
    models = [
        a_training(
            tmp_path / f"{mapping}{seed}", seed=seed, schedule=schedule, method=replace(ROBUST, beta=beta)
        )
        for seed, beta in ((0, 0.5), (1, 0.1), (2, 2.0))
    ]
    together = run(*models, mapping=mapping)
    for one, model in zip(together, models, strict=True):
        (alone,) = run(replace(model, folder=model.folder / "alone"))
        assert_same(one.parameters, alone.parameters, tolerance=1e-5)
        assert one.best_step == alone.best_step


def test_spiking_models_side_by_side_learn_what_each_learns_alone(tmp_path):
    inputs = np.random.default_rng(0).standard_normal((12, 8, 2)).astype(np.float32)
    data = Examples(inputs, (np.arange(12) % 2).astype(np.int32))
    models = [
        a_training(
            tmp_path / str(seed),
            network=LSNN(n_in=2, n_out=2, n_hidden=6),
            method=FiringRates(Standard(), 0.001),
            seed=seed,
            schedule=Phases((2.0,), (0.001,)),
            batch_size=4,
        )
        for seed in (0, 1)
    ]
    together = train(models, data, data, mapping="vmap")
    for one, model in zip(together, models, strict=True):
        (alone,) = train([replace(model, folder=model.folder / "alone")], data, data)
        assert_same(one.parameters, alone.parameters, tolerance=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 8},
        {"optimizer": "sgd"},
        {"network": MLP(n_in=4, n_hidden=(9,), n_out=3)},
        {"method": ForwardNoise()},
    ],
)
def test_models_of_different_programs_are_refused(tmp_path, change):
    one = a_training(tmp_path / "one")
    with pytest.raises(InputError, match="in one program must share"):
        run(one, replace(one, folder=tmp_path / "two", **change))


@pytest.mark.parametrize("change", [{"optimizer": "adma"}, {"batch_size": 0}, {"eval_step_interval": 0}])
def test_settings_that_make_no_sense_are_refused(tmp_path, change):
    with pytest.raises(InputError):
        run(a_training(tmp_path, **change))


# --- divergence ---


def test_a_loss_that_is_not_finite_names_its_step_and_checkpoint(tmp_path):
    training = a_training(tmp_path, optimizer="sgd", schedule=Phases((5.0,), (1e36,)))
    (result,) = run(training, checkpoint_seconds=0.0)
    assert isinstance(result, TrainingDiverged)
    assert "no longer finite at step 1 " in str(result)
    assert f"{tmp_path / CHECKPOINT} (step 1)" in str(result)
    checkpoint = load_tree(tmp_path / CHECKPOINT, like=_fresh_state(training))[0]
    assert checkpoint.step == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(checkpoint.parameters))


def _fresh_state(training):
    from jaxrobust.training.loop import _resume

    return _resume(replace(training, folder=training.folder / "nothing"))


def test_a_model_that_diverges_leaves_the_others_alone(tmp_path):
    def noisy(std, name):
        return a_training(tmp_path / name, method=ForwardNoise(std=std), schedule=Phases((1.0,), (0.01,)))

    bad, good = run(noisy(1e38, "bad"), noisy(0.1, "good"))
    assert isinstance(bad, TrainingDiverged)
    (alone,) = run(noisy(0.1, "alone"))
    assert_same(good.parameters, alone.parameters, tolerance=1e-6)


def ringing(n: int) -> Examples:
    """Sequences of two features; positive or negative."""
    rng = np.random.default_rng(0)
    labels = (np.arange(n) % 2).astype(np.int32)
    signs = np.where(labels, 1, -1)[:, None, None]
    return Examples((signs + rng.standard_normal((n, 10, 2))).astype(np.float32), labels)


@jax.tree_util.register_static
@dataclass(frozen=True)
class LosesItsWeights:
    """An optimizer that turns the input weights into no numbers from one step on."""

    at_step: int

    def init(self, parameters):
        return jnp.int32(0)

    def step(self, evaluate, parameters, memory, learning_rate, key):
        loss, forward, _ = evaluate(parameters, key)
        lost = jnp.where(memory >= self.at_step, jnp.nan, parameters["w_in"])
        return Step({**parameters, "w_in": lost}, memory + 1, loss, forward)


@pytest.mark.parametrize("n_models", [1, 2])
def test_weights_that_are_no_numbers_are_seen_though_the_loss_is_one(tmp_path, n_models):
    """Units that get no number as their input are silent, and the readout of silence is a number."""
    trainings = [
        a_training(
            tmp_path / str(seed),
            network=LSNN(n_in=2, n_out=2, n_hidden=4),
            optimizer=LosesItsWeights(at_step=12),
            schedule=Phases((5.0,), (0.01,)),
            seed=seed,
        )
        for seed in range(n_models)
    ]
    for result in train(trainings, ringing(40), ringing(20)):
        assert isinstance(result, TrainingDiverged)
        step = int(re.search("no longer finite at step ([0-9]+)", str(result))[1])
        assert 12 <= step < 20  # the next validation


# --- compilation ---


class Compilations:
    """Counts everything that XLA compiles from now on."""

    def __init__(self):
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, **_):
        self.count += event == "/jax/core/compile/backend_compile_duration"


def test_other_numbers_seeds_and_last_blocks_compile_nothing(tmp_path):
    compilations = Compilations()
    network = MLP(n_in=4, n_hidden=(5,), n_out=3)  # one that no other test has compiled
    run(a_training(tmp_path / "0", network=network, method=ROBUST))
    assert compilations.count > 0
    before = compilations.count
    run(
        a_training(
            tmp_path / "1",
            network=network,
            seed=5,
            method=replace(
                ROBUST,
                base=ForwardNoise(std=0.3),
                beta=0.7,
                attack=ParameterAttack(relative_size=0.2, initial_relative_std=0.01, n_steps=2),
            ),
            schedule=Phases((4.2, 1.1, 0.3), (0.1, 0.02, 0.001)),
            eval_step_interval=13,
        )
    )
    assert compilations.count == before
