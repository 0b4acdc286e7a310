"""The one training loop: blocks of steps, validation, checkpoints, metrics; for every network and method."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Statistics
from jaxrobust.training.augmentation import Augmentation
from jaxrobust.training.batches import batch_indices
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.methods import Method
from jaxrobust.training.metrics import MetricsLog
from jaxrobust.training.optimizers import Optimizer, optimizer_named
from jaxrobust.training.program import (
    BlockInputs,
    Hyperparameters,
    IntervalMetrics,
    Mapping,
    TrainState,
    initial_state,
    train_block,
    validate,
)
from jaxrobust.training.schedule import Schedule
from jaxrobust.trees import Parameters

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"
# Steps handed to the device at once at most, and how long a block should take: long enough to hide the
# overhead of a call, short enough to show progress and to stop soon when asked to.
MAX_BLOCK = 200
BLOCK_SECONDS = 2.0
# Validation samples computed at once.
VALIDATION_BATCH = 500


@dataclass(frozen=True)
class Training:
    """One model to be trained.

    Attributes:
        network: The architecture.
        method: The training method.
        schedule: Epochs and learning rates.
        optimizer: The optimizer, or its name in ``optimizers.OPTIMIZERS``.
        batch_size: Samples a step.
        seed: Seed of the parameters, the order of the data and all that the method draws.
        eval_step_interval: Steps between validations.
        reg: Weight of the firing-rate regularizer.
        folder: Where checkpoints and metrics go.
        augmentation: What changes the training batches, if anything.
    """

    network: Network
    method: Method
    schedule: Schedule
    optimizer: Optimizer | str
    batch_size: int
    seed: int
    eval_step_interval: int
    reg: float
    folder: Path
    augmentation: Augmentation | None = None

    def __post_init__(self):
        _optimizer(self)
        if self.batch_size < 1 or self.eval_step_interval < 1:
            raise InputError(
                f"batch_size ({self.batch_size}) and eval_step_interval ({self.eval_step_interval}) must be "
                f"at least 1."
            )


@dataclass(frozen=True)
class Trained:
    """A trained model: the parameters of the validation with the highest accuracy.

    Attributes:
        parameters: Tree of arrays.
        statistics: The running statistics that belong to them.
        validation_accuracy: Fraction of the validation set.
        best_step: The step they were reached at.
        n_steps: All steps taken.
        history: Metrics over time, as in the metrics file.
    """

    parameters: Parameters
    statistics: Statistics
    validation_accuracy: float
    best_step: int
    n_steps: int
    history: dict[str, list]


class TrainingDiverged(RuntimeError):
    """The loss of a training, or one of its parameters, is no longer a finite number."""


class TrainingStopped(Exception):
    """Training was asked to stop; its checkpoint is written."""


def train(
    trainings: Sequence[Training],
    train_set: Examples,
    validation_set: Examples,
    *,
    mapping: Mapping | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
    stop_requested: Callable[[], bool] = lambda: False,
    checkpoint_seconds: float = 60.0,
) -> list[Trained | TrainingDiverged]:
    """Train models to the end, each from its checkpoint if it has one.

    A model trained again, resumed, or beside others gets the batches and draws it would get alone; on a CPU
    a resumed training ends with the same bits as one that was never interrupted.

    Args:
        trainings: The models. Several train in one program and must differ in numbers only.
        train_set: Training data.
        validation_set: What the best parameters are chosen by.
        mapping: How several models share the program; by default side by side on an accelerator, one after
            the other on a CPU.
        progress: Called with steps done, steps in all, and a short text.
        stop_requested: Asked between blocks; once true, checkpoints are written and ``TrainingStopped`` is
            raised.
        checkpoint_seconds: Time between checkpoints.

    Returns:
        For each training the trained model, or the reason why it has none.

    Raises:
        InputError: The settings, data and checkpoints do not fit together.
        TrainingStopped: A stop was requested.
    """
    states = [_resume(training) for training in trainings]
    by_step: dict[int, list[int]] = {}
    for i, state in enumerate(states):
        by_step.setdefault(int(state.step), []).append(i)
    results: dict[int, Trained | TrainingDiverged] = {}
    for members in by_step.values():
        together = _train_together(
            [trainings[i] for i in members],
            [states[i] for i in members],
            train_set,
            validation_set,
            mapping=mapping or _default_mapping(len(members)),
            progress=progress,
            stop_requested=stop_requested,
            checkpoint_seconds=checkpoint_seconds,
        )
        results.update(zip(members, together, strict=True))
    return [results[i] for i in range(len(trainings))]


def _train_together(
    trainings: Sequence[Training],
    states: Sequence[TrainState],
    train_set: Examples,
    validation_set: Examples,
    *,
    mapping: Mapping,
    progress: Callable[[int, int, str], None],
    stop_requested: Callable[[], bool],
    checkpoint_seconds: float,
) -> list[Trained | TrainingDiverged]:
    shared = _what_they_share(trainings)
    n_samples = len(train_set.labels)
    phase_steps = shared.schedule.phase_steps(n_samples, shared.batch_size)
    total = sum(phase_steps)
    step = int(states[0].step)
    logs = [MetricsLog(training.folder / METRICS, up_to_step=step) for training in trainings]
    state = _join(states, mapping)
    hyperparameters = _join([_hyperparameters(training) for training in trainings], mapping)
    inputs, labels = jnp.asarray(train_set.inputs), jnp.asarray(train_set.labels)
    validation = jnp.asarray(validation_set.inputs), jnp.asarray(validation_set.labels)
    diverged: dict[int, TrainingDiverged] = {}
    checkpoint_step, next_checkpoint = step, time.monotonic() + checkpoint_seconds
    # The first call compiles, so its time says nothing of the next: it takes one step only.
    block_length, first_step = 1, step
    text = ""

    while step < total and len(diverged) < len(trainings):
        next_validation = (step // shared.eval_step_interval + 1) * shared.eval_step_interval
        until = min(step + block_length, next_validation, total)
        block = _block_inputs(trainings, step, phase_steps, n_samples, mapping)
        began = time.monotonic()
        state = train_block(
            shared.network,
            mapping,
            state,
            hyperparameters,
            inputs,
            labels,
            block,
            jnp.int32(until - step),
        )
        diverged_at = np.atleast_1d(np.asarray(state.diverged_at)).tolist()
        seconds_a_step = (time.monotonic() - began) / (until - step)
        block_length = 1 if step == first_step else int(np.clip(BLOCK_SECONDS / seconds_a_step, 1, MAX_BLOCK))
        step = until
        for i, failed_step in enumerate(diverged_at):
            if failed_step >= 0 and i not in diverged:
                diverged[i] = _divergence(trainings[i], failed_step, checkpoint_step)

        if step in (next_validation, total):
            state, metrics = validate(shared.network, mapping, VALIDATION_BATCH, state, *validation)
            text = _log(logs, step, metrics)
        progress(step, total, text)
        stop = stop_requested() and step < total
        if stop or step == total or time.monotonic() >= next_checkpoint:
            for i, one in enumerate(_split(state, mapping)):
                if i not in diverged:
                    save_tree(trainings[i].folder / CHECKPOINT, one)
            checkpoint_step, next_checkpoint = step, time.monotonic() + checkpoint_seconds
        if stop:
            raise TrainingStopped(f"Stopped at step {step} of {total}; the checkpoint is written.")

    return [
        diverged[i] if i in diverged else _result(one, logs[i])
        for i, one in enumerate(_split(jax.device_get(state), mapping))
    ]


def _default_mapping(n_models: int) -> Mapping:
    if n_models == 1:
        return "single"
    return "map" if jax.default_backend() == "cpu" else "vmap"


def _what_they_share(trainings: Sequence[Training]) -> Training:
    first = trainings[0]
    for other in trainings[1:]:
        for name in ("network", "schedule", "batch_size", "eval_step_interval"):
            if getattr(other, name) != getattr(first, name):
                raise InputError(
                    f"Models that train in one program must share {name}, but one has "
                    f"{getattr(first, name)} and another {getattr(other, name)}; train them one by one."
                )
        for name, one, another in (
            ("method", first.method, other.method),
            ("optimizer", _optimizer(first), _optimizer(other)),
            ("augmentation", first.augmentation, other.augmentation),
        ):
            if jax.tree.structure(one) != jax.tree.structure(another):
                raise InputError(
                    f"Models that train in one program must share their kind of {name}, but one has "
                    f"{one} and another {another}; train them one by one."
                )
    return first


def _optimizer(training: Training) -> Optimizer:
    given = training.optimizer
    return optimizer_named(given) if isinstance(given, str) else given


def _keys(training: Training) -> tuple[Array, Array]:
    key_parameters, key_steps = jax.random.split(jax.random.key(training.seed))
    return key_parameters, key_steps


def _hyperparameters(training: Training) -> Hyperparameters:
    numbers = jax.tree.map(
        jnp.float32, (training.method, _optimizer(training), training.reg, training.augmentation)
    )
    return Hyperparameters(_keys(training)[1], *numbers)


def _resume(training: Training) -> TrainState:
    fresh = initial_state(training.network, _optimizer(training), _keys(training)[0])
    path = training.folder / CHECKPOINT
    return load_tree(path, like=fresh)[0] if path.exists() else fresh


def _join(trees: Sequence, mapping: Mapping):
    """Give trees a common leading axis of models; a single model has none."""
    return trees[0] if mapping == "single" else jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _split(tree: TrainState, mapping: Mapping) -> list[TrainState]:
    if mapping == "single":
        return [tree]
    return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(tree.step.shape[0])]


def _block_inputs(
    trainings: Sequence[Training], step: int, phase_steps: tuple[int, ...], n_samples: int, mapping: Mapping
) -> BlockInputs:
    """The next ``MAX_BLOCK`` steps, always as many, so that no block compiles anew."""
    shared = trainings[0]
    rates = shared.schedule.rates(step, MAX_BLOCK, phase_steps)
    indices = [
        batch_indices(t.seed, step, MAX_BLOCK, batch_size=shared.batch_size, n_samples=n_samples)
        for t in trainings
    ]
    if mapping == "single":
        return BlockInputs(jnp.asarray(indices[0]), jnp.asarray(rates))
    return BlockInputs(
        jnp.asarray(np.stack(indices, axis=1)), jnp.asarray(np.stack([rates] * len(indices), axis=1))
    )


def _divergence(training: Training, step: int, checkpoint_step: int) -> TrainingDiverged:
    path = training.folder / CHECKPOINT
    checkpoint = (
        f"its last good checkpoint is {path} (step {checkpoint_step})"
        if path.exists()
        else "it had no checkpoint yet"
    )
    return TrainingDiverged(
        f"The loss or a parameter is no longer finite at step {step} with {training.method}, optimizer "
        f"{training.optimizer}, learning rates {training.schedule.learning_rates} and seed {training.seed}; "
        f"{checkpoint}. "
        f"Lower the learning rate or the attack size."
    )


def _log(logs: Sequence[MetricsLog], step: int, metrics: IntervalMetrics) -> str:
    columns = [np.atleast_1d(column).astype(float).tolist() for column in metrics]
    for log, row in zip(logs, zip(*columns, strict=True), strict=True):
        log.append(step=step, **dict(zip(IntervalMetrics._fields, row, strict=True)))
    loss, _, validation = (float(np.mean(column)) for column in columns)
    return f"loss {loss:.4g}, validation {validation:.2%}"


def _result(state: TrainState, log: MetricsLog) -> Trained:
    return Trained(
        parameters=state.best.parameters,
        statistics=state.best.statistics,
        validation_accuracy=float(state.best.accuracy),
        best_step=int(state.best.step),
        n_steps=int(state.step),
        history=log.history(),
    )
