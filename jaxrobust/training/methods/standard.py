"""Plain training."""

from dataclasses import dataclass

from jax import Array

from jaxrobust.training.methods.task import Loss, Task
from jaxrobust.trees import Parameters, settings_tree


@settings_tree
@dataclass(frozen=True)
class Standard:
    """Plain training on the task loss."""

    def loss(self, task: Task, parameters: Parameters, key: Array) -> Loss:
        """The task loss."""
        return task.loss(parameters, key)
