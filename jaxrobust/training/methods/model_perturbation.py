"""Adversarial model perturbation (Zheng et al. 2021)."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.numerics import unit
from jaxrobust.training.methods.ascent import loss_uphill
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class ModelPerturbation:
    """The gradient of the task loss at ``theta + size g / |g|``, tensor by tensor (AMP).

    ``g`` is the gradient at ``theta``. The published code held the attacked parameters constant and so had a
    gradient of exactly zero for this term.

    Attributes:
        base: The method whose loss is perturbed.
        size: Length of each tensor's displacement; published 0.0005 to 0.02.
        warmup: Epochs of base training before.
    """

    base: Method
    size: Number = 0.01
    warmup: Number = 0.0

    def __post_init__(self):
        check_numbers(self, "size", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss at the displaced parameters."""
        return loss_uphill(
            self.base,
            objective,
            parameters,
            key,
            direction=lambda gradient: jax.tree.map(unit, gradient),
            length=self.size,
            warmup=self.warmup,
        )
