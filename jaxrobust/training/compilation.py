"""The programs of a training: called with what does not change from call to call, and compiled side by side.

A training calls two programs (and one for its probes), and a grid trains with many. XLA compiles each for
seconds on one core of the host, without holding Python back, so that several at once take no longer than the
longest. JAX keeps what was compiled for the call that has the same shapes.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, ShapeDtypeStruct

from jaxrobust.data.dataset import Examples
from jaxrobust.training.malloc import return_freed_memory
from jaxrobust.training.placement import Placement
from jaxrobust.training.program import (
    VALIDATION_BATCH,
    BlockInputs,
    Hyperparameters,
    IntervalMetrics,
    TrainState,
    train_block,
    validate,
)
from jaxrobust.training.training import Training, hyperparameters_of

Data = tuple[Array | ShapeDtypeStruct, Array | ShapeDtypeStruct]


@dataclass(frozen=True)
class Programs:
    """The two programs that train models, with all that stays the same while they do.

    Attributes:
        shared: One of the models.
        placement: Where they lie.
        hyperparameters: What distinguishes them, joined.
        data: Inputs and labels of the training data; to compile, their shapes will do.
        validation: Those of the validation data.
    """

    shared: Training
    placement: Placement
    hyperparameters: Hyperparameters
    data: Data
    validation: Data

    def take(self, state: TrainState, block: BlockInputs, n_steps: int) -> TrainState:
        """Take steps; the state that is given is used up."""
        return train_block(*self._of_block(state, block, jnp.int32(n_steps)))

    def validate(self, state: TrainState) -> tuple[TrainState, IntervalMetrics]:
        """Measure the validation score; the state that is given is used up."""
        return validate(*self._of_validation(state))

    def lowered(self, state: TrainState, block: BlockInputs) -> list[jax.stages.Lowered]:
        """Trace both, ready to be compiled; nothing is computed and no state used up."""
        return [
            train_block.lower(*self._of_block(state, block, ShapeDtypeStruct((), jnp.int32))),
            validate.lower(*self._of_validation(state)),
        ]

    def _of_block(self, state: TrainState, block: BlockInputs, n_steps: Any) -> tuple[Any, ...]:
        network, mapping, mesh = self.shared.network, self.placement.mapping, self.placement.mesh
        return network, mapping, state, self.hyperparameters, *self.data, block, n_steps, mesh

    def _of_validation(self, state: TrainState) -> tuple[Any, ...]:
        network, mapping, mesh = self.shared.network, self.placement.mapping, self.placement.mesh
        criterion = self.hyperparameters.criterion
        return network, mapping, VALIDATION_BATCH, state, criterion, *self.validation, mesh


def programs_with_data(
    trainings: Sequence[Training], placement: Placement, train_set: Examples, validation_set: Examples
) -> Programs:
    """The programs of models that train in one, with their data on the device."""
    hyperparameters = placement.join([hyperparameters_of(training) for training in trainings])
    data, validation = (
        (placement.on_all(examples.inputs), placement.on_all(examples.labels))
        for examples in (train_set, validation_set)
    )
    return Programs(trainings[0], placement, hyperparameters, data, validation)


def compile_side_by_side(programs: Iterable[jax.stages.Lowered]) -> None:
    """Compile programs in threads, one per core of the host, each as soon as it is traced; and wait for all.

    What cannot be compiled is left to the call of the program, which raises the same.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="compile") as pool:
        # Traced in this thread, whose settings of JAX, such as the precision of products, others do not have.
        futures: list[Future[Any]] = [pool.submit(program.compile) for program in programs]
        wait(futures)
    return_freed_memory()
