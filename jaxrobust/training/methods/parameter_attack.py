"""Training against an attack on the parameters: the published method."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from jaxrobust.attacks.parameter_attack import OwnAttack, ParameterAttack, static
from jaxrobust.attacks.robust_loss import BoundaryLoss, check_boundary_loss, robust_loss
from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup, keys_of
from jaxrobust.training.methods.standard import Standard
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class ParameterAttackTraining:
    """The task loss plus ``beta`` times the robust term of a parameter attack: the paper's method.

    Attributes:
        base: The method that gives the first term; ``ForwardNoise`` for the published combination.
        beta: Weight of the robust term.
        attack: The attack, computed on the parameters without noise.
        boundary_loss: What the attack increases and training decreases.
        treat_as_constant: Whether the attacked parameters are held fixed in the gradient.
        warmup: Epochs before the robust term sets in. (The published setting of this name counted phases of
            the learning rate.)
    """

    neutral: ClassVar = {"beta": 0.0}

    base: Method
    beta: Number
    attack: ParameterAttack | OwnAttack
    boundary_loss: BoundaryLoss = static(default="kl")
    treat_as_constant: bool = static(default=False)
    warmup: Number = 0.0

    def __post_init__(self):
        check_boundary_loss(self.boundary_loss, treat_as_constant=self.treat_as_constant)
        check_numbers(self, "beta", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus beta times the robust term."""
        loss, forward = self.base.loss(objective, parameters, key)

        def robust():
            return robust_loss(
                lambda p, inputs: objective.forward(p, inputs, key).logits,
                parameters,
                objective.inputs,
                keys_of(key).attack,
                self.attack,
                boundary_loss=self.boundary_loss,
                treat_as_constant=self.treat_as_constant,
                logits=forward.logits if isinstance(self.base, Standard) else None,
                task_loss=lambda p: objective.loss(p, key)[0],
                counts=objective.counts,
            )

        return loss + self.beta * after_warmup(objective, self.warmup, robust, jnp.zeros_like(loss)), forward
