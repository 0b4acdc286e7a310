"""Plain training."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.models.network import Parameters
from jaxrobust.training.methods.task import Loss, Task


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standard:
    """Plain training on the task loss."""

    def loss(self, task: Task, parameters: Parameters, key: Array) -> Loss:
        """The task loss."""
        return task.loss(parameters, key)
