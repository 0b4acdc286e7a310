"""The one training loop: blocks of steps, validation, probes, checkpoints and metrics, for any method."""

import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrobust.criteria import check_finite_labels, check_labels
from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Variables
from jaxrobust.training.batches import BatchOrder
from jaxrobust.training.checkpoints import load_tree, save_tree
from jaxrobust.training.compilation import compile_side_by_side, programs_with_data
from jaxrobust.training.files import CHECKPOINT, METRICS, Writer, kept_file, optimizer_file
from jaxrobust.training.metrics import MetricsLog
from jaxrobust.training.placement import Devices, Mapping, Placement, place
from jaxrobust.training.probes import run_probes
from jaxrobust.training.program import MAX_BLOCK, BlockInputs, TrainState
from jaxrobust.training.reports import BlockReport, Reports
from jaxrobust.training.training import (
    Trained,
    Training,
    TrainingDiverged,
    TrainingStopped,
    check_one_program,
    hyperparameters_of,
    order_seed,
    start_of,
)
from jaxrobust.trees import check_finite


def train(
    trainings: Sequence[Training],
    train_set: Examples,
    validation_set: Examples,
    *,
    mapping: Mapping | None = None,
    devices: Devices | None = None,
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
        devices: What several models are divided among; by default all of this process.
        progress: Called with steps done, steps in all, and a short text.
        stop_requested: Asked between blocks; once true, checkpoints are written and ``TrainingStopped`` is
            raised.
        checkpoint_seconds: Time between checkpoints.

    Returns:
        For each training the trained model, or the reason why it has none.

    Raises:
        InputError: The settings, data and checkpoints do not fit together.
        TrainingStopped: A stop was requested.

    Example:
        >>> import jax, jaxrobust as jr, numpy as np, tempfile
        >>> from pathlib import Path
        >>> inputs = jax.random.normal(jax.random.key(0), (40, 4))
        >>> examples = jr.data.Examples(np.asarray(inputs), np.asarray(inputs[:, 0] > 0, np.int32))
        >>> training = jr.Training(
        ...     jr.MLP(n_in=4, n_hidden=(8,), n_out=2),
        ...     jr.methods.Standard(),
        ...     jr.Phases(n_epochs=(10.0,), learning_rates=(1e-1,)),
        ...     "adam",
        ...     batch_size=20,
        ...     seed=0,
        ...     eval_step_interval=10,
        ...     folder=Path(tempfile.mkdtemp()),
        ... )
        >>> (trained,) = jr.train([training], examples, examples)
        >>> trained.n_steps, trained.validation_score > 0.9
        (20, True)
    """
    _check_data(train_set, validation_set)
    states = [_resume(training) for training in trainings]
    for training, state in zip(trainings, states, strict=True):
        _check(training, state, train_set, validation_set)
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
            placement=place(len(members), devices or jax.local_devices(), mapping),
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
    placement: Placement,
    progress: Callable[[int, int, str], None],
    stop_requested: Callable[[], bool],
    checkpoint_seconds: float,
) -> list[Trained | TrainingDiverged]:
    check_one_program(trainings)
    shared = trainings[0]
    n_samples = len(train_set.labels)
    total = shared.schedule.n_steps(n_samples, shared.batch_size)
    step = int(states[0].step)
    # What probes measured before the first step is measured again by a training that has no checkpoint.
    logs = [MetricsLog(training.folder / METRICS, up_to_step=step or -1) for training in trainings]
    state = placement.join(states)
    programs = programs_with_data(trainings, placement, train_set, validation_set)
    measure = _measurement(trainings, validation_set, placement)
    orders = _orders(trainings, n_samples)
    block = _block_inputs(trainings, orders, step, n_samples, placement)
    if step < total:
        compile_side_by_side(programs.lowered(state, block))
    reports = Reports(trainings, logs, step, total, progress)
    unread: list[BlockReport] = []
    next_checkpoint = time.monotonic() + checkpoint_seconds
    with Writer() as writer:
        if step in shared.keep_steps:
            _keep_step(writer, trainings, _on_host(state, placement), step, reports.diverged)
        if step == 0 and shared.probes.is_due(0, total):
            reports.log(0, measure(state))

        while step < total and len(reports.diverged) < len(trainings):
            n_steps = min(reports.block_length, _steps_to_next_event(shared, step, total))
            began = time.monotonic()
            state = programs.take(state, block, n_steps)
            step += n_steps
            # A copy, as the next block uses the state up before the host has read this.
            diverged_at, metrics = jnp.copy(state.diverged_at), None
            if step % shared.eval_step_interval == 0 or step == total:
                state, metrics = programs.validate(state)
            measured = measure(state) if shared.probes.is_due(step, total) else {}
            unread.append(BlockReport(step, n_steps, began, diverged_at, metrics, measured))
            if step < total:  # while the device computes
                block = _block_inputs(trainings, orders, step, n_samples, placement)

            stop = stop_requested() and step < total
            is_checkpoint = stop or step == total or time.monotonic() >= next_checkpoint
            is_kept = step in shared.keep_steps
            # Files hold no model that has diverged, so all blocks are read before, and their metrics are on
            # disk before the checkpoint is.
            for report in _taken(unread, all_of_them=is_checkpoint or is_kept):
                reports.read(report)
            if is_checkpoint or is_kept:
                writer.wait()
                models = _on_host(state, placement)
                if is_kept:
                    _keep_step(writer, trainings, models, step, reports.diverged)
                if is_checkpoint:
                    _keep_checkpoint(writer, trainings, models, reports.diverged)
                    reports.checkpoint_step = step
                    next_checkpoint = time.monotonic() + checkpoint_seconds
            if stop:
                writer.wait()
                raise TrainingStopped(f"Stopped at step {step} of {total}; the checkpoint is written.")

    diverged = reports.diverged
    return [
        diverged[i] if i in diverged else _result(trainings[i], one, logs[i])
        for i, one in enumerate(_on_host(state, placement))
    ]


def _steps_to_next_event(training: Training, step: int, total: int) -> int:
    """Steps until something is validated, measured or kept, or the training ends."""
    interval = training.eval_step_interval
    to_validation = interval - step % interval
    to_probe = training.probes.next_step(step, total) - step
    to_kept = [kept - step for kept in training.keep_steps if kept > step]
    return min(to_validation, to_probe, total - step, *to_kept)


def _taken(unread: list[BlockReport], *, all_of_them: bool) -> list[BlockReport]:
    """Take reports out of a list: all but the last while that is computed, as the next block can begin."""
    n = len(unread) if all_of_them or unread[-1].is_computed else len(unread) - 1
    taken = unread[:n]
    del unread[:n]
    return taken


def _resume(training: Training) -> TrainState:
    fresh = start_of(training)
    path = training.folder / CHECKPOINT
    return load_tree(path, like=fresh)[0] if path.exists() else fresh


def _check_data(train_set: Examples, validation_set: Examples) -> None:
    """Raise ``InputError`` for data that would otherwise look like a bad learning rate."""
    if not len(train_set.labels):
        raise InputError("The training set is empty; check the data set and its split.")
    for examples, name in ((train_set, "training"), (validation_set, "validation")):
        check_finite(examples.inputs, f"The inputs of the {name} set")
        check_finite_labels(examples.labels, f"The labels of the {name} set")


def _check(training: Training, state: TrainState, train_set: Examples, validation_set: Examples) -> None:
    """Raise ``InputError`` for labels or steps that do not fit the training."""
    if training.criterion.is_classification:
        one = jax.ShapeDtypeStruct((1, *train_set.inputs.shape[1:]), train_set.inputs.dtype)
        outputs = jax.eval_shape(training.network.forward, state.parameters, state.statistics, one)
        n_outputs = outputs.logits.shape[-1]
        check_labels(training.criterion, train_set.labels, n_outputs, "the labels of the training set")
        check_labels(training.criterion, validation_set.labels, n_outputs, "the labels of the validation set")
    total = training.schedule.n_steps(len(train_set.labels), training.batch_size)
    if any(step > total for step in training.keep_steps):
        raise InputError(f"keep_steps are {training.keep_steps}, but the training has {total} steps only.")


def _on_host(state: TrainState, placement: Placement) -> list[TrainState]:
    """Copy all models from the device at once; what it computes next changes no copy."""
    return placement.split(jax.tree.map(np.array, jax.device_get(state)))


def _orders(trainings: Sequence[Training], n_samples: int) -> dict[int, BatchOrder]:
    """The order of the data of every seed; models of one seed share it."""
    batch_size = trainings[0].batch_size
    seeds = {order_seed(training) for training in trainings}
    return {seed: BatchOrder(seed, batch_size=batch_size, n_samples=n_samples) for seed in seeds}


def first_block(trainings: Sequence[Training], n_samples: int, placement: Placement) -> BlockInputs:
    """Inputs of the first steps; those of later blocks have their shape."""
    return _block_inputs(trainings, _orders(trainings, n_samples), 0, n_samples, placement)


def _block_inputs(
    trainings: Sequence[Training],
    orders: dict[int, BatchOrder],
    step: int,
    n_samples: int,
    placement: Placement,
) -> BlockInputs:
    """Inputs of the next ``MAX_BLOCK`` steps; constant shape, so nothing recompiles."""
    sizes = {"n_samples": n_samples, "batch_size": trainings[0].batch_size}
    rates = [t.schedule.rates(step, MAX_BLOCK, **sizes) for t in trainings]
    of_seed = {seed: order.indices(step, MAX_BLOCK) for seed, order in orders.items()}
    indices = [of_seed[order_seed(t)] for t in trainings]
    return BlockInputs(placement.join(indices, axis=1), placement.join(rates, axis=1))


def _measurement(
    trainings: Sequence[Training], validation_set: Examples, placement: Placement
) -> Callable[[TrainState], dict[str, Array]]:
    """The probes as a function of the state alone: their data are on the device once."""
    probes = trainings[0].probes
    if not probes.measurements:
        return lambda state: {}
    n_all = len(validation_set.labels)
    n_chosen = min(probes.n_samples or n_all, n_all)
    chosen = np.arange(n_chosen) * n_all // n_chosen
    data = placement.on_all(validation_set.inputs[chosen]), placement.on_all(validation_set.labels[chosen])
    measurements = [jax.tree.map(jnp.float32, dict(t.probes.measurements)) for t in trainings]
    hyperparameters = [hyperparameters_of(t) for t in trainings]
    criterion, key = placement.join([(h.criterion, h.key) for h in hyperparameters])
    joined = placement.join(measurements)
    network, mapping, mesh = trainings[0].network, placement.mapping, placement.mesh

    def measure(state: TrainState) -> dict[str, Array]:
        variables = state.parameters, state.statistics
        return run_probes(network, mapping, joined, criterion, *variables, key, state.step, *data, mesh)

    return measure


def _keep_step(
    writer: Writer,
    trainings: Sequence[Training],
    models: Sequence[TrainState],
    step: int,
    diverged: dict[int, TrainingDiverged],
) -> None:
    """Write the parameters of a step that is to be kept.

    They are on disk before the checkpoint of the step: a training that resumes has those of all steps before.
    """
    for i, (training, model) in enumerate(zip(trainings, models, strict=True)):
        if i not in diverged:
            writer.save(training.folder / kept_file(step), Variables(model.parameters, model.statistics))
            if training.keep_optimizer:
                writer.save(training.folder / optimizer_file(step), model.optimizer_state)


def _keep_checkpoint(
    writer: Writer,
    trainings: Sequence[Training],
    models: Sequence[TrainState],
    diverged: dict[int, TrainingDiverged],
) -> None:
    for i, (training, model) in enumerate(zip(trainings, models, strict=True)):
        if i not in diverged:
            writer.save(training.folder / CHECKPOINT, model)


def _result(training: Training, state: TrainState, log: MetricsLog) -> Trained:
    history = log.history()
    best = state.best
    if training.keep == "last":
        name = "validation_accuracy" if training.criterion.is_classification else "validation_score"
        best = best._replace(
            accuracy=np.float32(history[name][-1]),
            step=state.step,
            parameters=state.parameters,
            statistics=state.statistics,
        )
    if training.keep_optimizer:
        save_tree(training.folder / optimizer_file(), state.optimizer_state)
    like = jax.tree.map(np.asarray, Variables(state.parameters, state.statistics))
    return Trained(
        parameters=best.parameters,
        statistics=best.statistics,
        validation_score=float(best.accuracy),
        best_step=int(best.step),
        n_steps=int(state.step),
        history=history,
        kept={step: load_tree(training.folder / kept_file(step), like)[0] for step in training.keep_steps},
    )
