"""The compiled programs of training: a block of steps in one call, and a validation.

Both are jitted once for a network, a structure of method and the shapes of the data. Every number in the
settings is an argument, so another learning rate, attack size or seed compiles nothing. Many models train in
one program when the states, batches and methods carry a leading axis of models; ``mapping`` says how.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float, Int, Shaped

from jaxrobust.criteria import Criterion
from jaxrobust.measures.mismatch import accuracy
from jaxrobust.networks.network import Network, Outputs, Statistics, Variables
from jaxrobust.training.augmentation import Augmentation
from jaxrobust.training.methods import Batch, Method, Objective
from jaxrobust.training.optimizers import Evaluation, Memory, Optimizer, projected_start
from jaxrobust.training.placement import Mapping, mapped
from jaxrobust.training.trainable import Trainable
from jaxrobust.trees import Parameters

# Steps that the inputs of a block are made for: of one shape, so that shorter blocks compile nothing.
MAX_BLOCK = 200
# Validation samples computed at once.
VALIDATION_BATCH = 500


class Best(NamedTuple):
    """The model with the highest validation score so far; the first of several equal ones."""

    accuracy: Float[Array, ""]
    step: Int[Array, ""]
    parameters: Parameters
    statistics: Statistics


class Interval(NamedTuple):
    """Sums of losses and scores (hits) over the training steps since the last validation."""

    loss: Float[Array, ""]
    hits: Float[Array, ""]
    n_steps: Int[Array, ""]


class TrainState(NamedTuple):
    """Everything that training remembers between steps, and a checkpoint holds.

    Attributes:
        step: Steps taken.
        parameters: What is trained.
        statistics: Running statistics.
        optimizer_state: The optimizer's memory.
        best: The best model so far.
        interval: Sums since the last validation.
        diverged_at: The first step whose loss was not finite, or the last before a parameter was found not to
            be; -1 if there was none.
    """

    step: Int[Array, ""]
    parameters: Parameters
    statistics: Statistics
    optimizer_state: Memory
    best: Best
    interval: Interval
    diverged_at: Int[Array, ""]


class BlockInputs(NamedTuple):
    """What a block of steps is given, one row a step (then, if mapped, one column a model).

    Attributes:
        indices: Which samples make up each batch.
        learning_rates: The learning rate of each step.
    """

    indices: Int[Array, "steps *models batch"]
    learning_rates: Float[Array, "steps *models"]


class IntervalMetrics(NamedTuple):
    """Means over the training batches of an interval, and the validation score at its end."""

    loss: Float[Array, "*models"]
    training_score: Float[Array, "*models"]
    validation_score: Float[Array, "*models"]


class Hyperparameters(NamedTuple):
    """What distinguishes one model of a program from the next.

    Attributes:
        key: PRNG key of all that training draws, step by step.
        method: Its training method.
        optimizer: Its optimizer.
        augmentation: What changes its batches, if anything.
        criterion: What compares outputs with labels.
        trainable: Which parameters are trained.
    """

    key: Array
    method: Method
    optimizer: Optimizer
    augmentation: Augmentation | None
    criterion: Criterion
    trainable: Trainable


def initial_state(variables: Variables, optimizer: Optimizer, trainable: Trainable) -> TrainState:
    """A model before its first step; what it is given is used up."""
    parameters, statistics = variables
    trained, frozen = trainable.split(parameters)
    trained = projected_start(optimizer, trained)
    parameters = trainable.merge(trained, frozen)
    # A copy, as the buffers of a state are donated one by one.
    best = Best(jnp.float32(-jnp.inf), jnp.int32(0), *jax.tree.map(jnp.copy, (parameters, statistics)))
    return TrainState(
        jnp.int32(0),
        parameters,
        statistics,
        optimizer.init(trained),
        best,
        _empty_interval(),
        jnp.int32(-1),
    )


def _empty_interval() -> Interval:
    return Interval(jnp.float32(0), jnp.float32(0), jnp.int32(0))


def _with_parameters_checked(_: tuple[()], state: TrainState) -> TrainState:
    """Find parameters that are no numbers: spiking units that get such inputs are silent, the loss finite."""
    finite = jax.tree.reduce(jnp.logical_and, jax.tree.map(lambda p: jnp.isfinite(p).all(), state.parameters))
    is_first_failure = ~finite & (state.diverged_at < 0)
    return state._replace(diverged_at=jnp.where(is_first_failure, state.step - 1, state.diverged_at))


@partial(jax.jit, static_argnames=("network", "mapping", "mesh"), donate_argnames="state")
def train_block(
    network: Network,
    mapping: Mapping,
    state: TrainState,
    hyperparameters: Hyperparameters,
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    block: BlockInputs,
    n_steps: Int[Array, ""],
    mesh: Mesh | None = None,
) -> TrainState:
    """Take the first ``n_steps`` of the steps in ``block``, and look whether all parameters are finite."""

    def step(
        data: tuple[Array, Array],
        state: TrainState,
        hyperparameters: Hyperparameters,
        indices: Array,
        learning_rate: Array,
    ) -> TrainState:
        inputs, labels = data
        batch = Batch(inputs[indices], labels[indices])
        epoch = state.step * indices.shape[0] / labels.shape[0]
        objective = Objective(network, state.statistics, batch, hyperparameters.criterion, epoch)
        key = jax.random.fold_in(hyperparameters.key, state.step)
        if hyperparameters.augmentation is not None:
            key, key_augmentation = jax.random.split(key)
            objective = objective.with_inputs(hyperparameters.augmentation(key_augmentation, batch.inputs))

        trainable = hyperparameters.trainable
        trained, frozen = trainable.split(state.parameters)

        def evaluate(trained: Parameters, key: Array) -> Evaluation:
            def loss_of(p: Parameters) -> tuple[Array, Outputs]:
                return hyperparameters.method.loss(objective, trainable.merge(p, frozen), key)

            (loss, forward), gradient = jax.value_and_grad(loss_of, has_aux=True)(trained)
            return Evaluation(loss, forward, gradient)

        trained, optimizer_state, loss, forward = hyperparameters.optimizer.step(
            evaluate, trained, state.optimizer_state, learning_rate, key
        )
        scores = hyperparameters.criterion.score(forward.logits, batch.labels)
        score = jnp.mean(scores, dtype=jnp.float32)
        is_first_failure = ~jnp.isfinite(loss) & (state.diverged_at < 0)
        return TrainState(
            step=state.step + 1,
            parameters=trainable.merge(trained, frozen),
            statistics=forward.statistics,
            optimizer_state=optimizer_state,
            best=state.best,
            interval=Interval(
                state.interval.loss + loss,
                state.interval.hits + score,
                state.interval.n_steps + 1,
            ),
            diverged_at=jnp.where(is_first_failure, state.step, state.diverged_at),
        )

    steps = mapped(step, mapping, mesh)

    def take(i: Array, state: TrainState) -> TrainState:
        taken = steps((inputs, labels), state, hyperparameters, block.indices[i], block.learning_rates[i])
        # With JAX_ENABLE_X64 settings are float64, which must not spread to sums and scores.
        return jax.tree.map(lambda after, before: after.astype(before.dtype), taken, state)

    state = jax.lax.fori_loop(0, n_steps, take, state)
    # Outside of the loop, where it costs next to nothing and leaves the compiled steps as they are.
    return mapped(_with_parameters_checked, mapping, mesh)((), state)


@partial(jax.jit, static_argnames=("network", "mapping", "batch_size", "mesh"), donate_argnames="state")
def validate(
    network: Network,
    mapping: Mapping,
    batch_size: int,
    state: TrainState,
    criterion: Criterion,
    inputs: Float[Array, "samples ..."],
    labels: Shaped[Array, "samples ..."],
    mesh: Mesh | None = None,
) -> tuple[TrainState, IntervalMetrics]:
    """Measure the validation score, keep the parameters if it is the highest, and begin a new interval."""

    def one(
        data: tuple[Array, Array], state: TrainState, criterion: Criterion
    ) -> tuple[TrainState, IntervalMetrics]:
        inputs, labels = data

        def apply(parameters, inputs):
            return network.forward(parameters, state.statistics, inputs).logits

        measured = accuracy(
            apply, state.parameters, inputs, labels, batch_size=batch_size, score=criterion.score
        ).astype(jnp.float32)
        new = Best(measured, state.step, state.parameters, state.statistics)
        is_better = (state.diverged_at < 0) & (measured > state.best.accuracy)
        best = jax.tree.map(lambda a, b: jnp.where(is_better, a, b), new, state.best)
        loss, scores, n_steps = state.interval
        metrics = IntervalMetrics(
            loss / n_steps.astype(loss.dtype), scores / n_steps.astype(scores.dtype), measured
        )
        return state._replace(best=best, interval=_empty_interval()), metrics

    return mapped(one, mapping, mesh)((inputs, labels), state, criterion)
