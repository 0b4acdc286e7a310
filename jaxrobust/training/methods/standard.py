"""Plain training."""

from dataclasses import dataclass

from jax import Array

from jaxrobust.training.methods.objective import Loss, Objective
from jaxrobust.trees import Parameters, settings_tree


@settings_tree
@dataclass(frozen=True)
class Standard:
    """Plain training on the task loss."""

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The task loss."""
        return objective.loss(parameters, key)
