"""Plain training."""

from dataclasses import dataclass

from jax import Array

from jaxrobust.models.network import Parameters
from jaxrobust.robustness.trees import settings_tree
from jaxrobust.training.methods.task import Loss, Task


@settings_tree
@dataclass(frozen=True)
class Standard:
    """Plain training on the task loss."""

    def loss(self, task: Task, parameters: Parameters, key: Array) -> Loss:
        """The task loss."""
        return task.loss(parameters, key)
