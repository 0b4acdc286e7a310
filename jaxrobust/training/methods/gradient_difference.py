"""Training for a gradient that an attack on the parameters does not change."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack, static
from jaxrobust.attacks.robust_loss import BoundaryLoss, check_boundary_loss
from jaxrobust.losses import DIVERGENCES
from jaxrobust.numerics import root
from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class GradientDifference:
    """The task loss plus ``beta |grad L(theta) - grad L(theta*)|`` ("Hessian robustness").

    To first order the second term is the length of the Hessian times the attack's displacement.

    Attributes:
        base: The method that gives the first term.
        beta: Weight of the second term.
        attack: What finds ``theta*``.
        boundary_loss: What the attack increases.
        treat_as_constant: Whether ``theta*`` is held fixed in the gradient.
        warmup: Epochs before the second term sets in.
    """

    neutral: ClassVar = {"beta": 0.0}

    base: Method
    beta: Number
    attack: ParameterAttack
    boundary_loss: BoundaryLoss = static(default="kl")
    treat_as_constant: bool = static(default=False)
    warmup: Number = 0.0

    def __post_init__(self):
        check_boundary_loss(self.boundary_loss, treat_as_constant=False)
        check_numbers(self, "beta", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus beta times the Euclidean distance of the two gradients."""
        loss, forward = self.base.loss(objective, parameters, key)

        def task_loss(p: Parameters) -> Array:
            return objective.loss(p, key)[0]

        def boundary_loss(p: Parameters) -> Array:
            if self.boundary_loss == "madry":
                return task_loss(p)
            logits = objective.forward(jax.lax.stop_gradient(parameters), objective.inputs, key).logits
            attacked = objective.forward(p, objective.inputs, key).logits
            return DIVERGENCES[self.boundary_loss](logits, attacked, objective.counts)

        def robust():
            attacked = attack(boundary_loss, parameters, keys_of(key).attack, self.attack).parameters
            if self.treat_as_constant:
                attacked = jax.lax.stop_gradient(attacked)
            difference = jax.tree.map(
                lambda a, b: jnp.sum((a - b) ** 2), *map(jax.grad(task_loss), (parameters, attacked))
            )
            squared = jax.tree.reduce(jnp.add, difference)
            # The root has no finite derivative at 0, where the gradients agree: there it is taken as 0.
            return root(squared)

        return loss + self.beta * after_warmup(objective, self.warmup, robust, jnp.zeros_like(loss)), forward
