"""TRADES: the same answers on attacked inputs."""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array

from jaxrobust.attacks.input_attack import AttackOnInputs
from jaxrobust.losses import kl
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.training.methods.standard import Standard
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class Trades:
    """``L(x) + beta KL(f(x) || f(x'))`` with attacked inputs x', held constant (Zhang et al. 2019).

    The attack raises the same divergence of the network as it is evaluated; give it a small random start, as
    the divergence has no gradient at x. The gradient of the second term flows through both of its arguments.

    Attributes:
        base: The method that gives L.
        beta: Weight of the second term, 1 / lambda of the paper.
        attack: What finds x'.
    """

    neutral: ClassVar = {"beta": 0.0}

    base: Method
    beta: Number
    attack: AttackOnInputs

    def __post_init__(self):
        check_numbers(self, "beta")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus beta times the divergence under attack."""
        loss, outputs = self.base.loss(objective, parameters, key)
        fixed = jax.lax.stop_gradient(parameters)
        answers = objective.evaluate(fixed, objective.inputs).logits

        def divergence(inputs: Array) -> Array:
            return kl(answers, objective.evaluate(fixed, inputs).logits, objective.counts)

        attacked = self.attack(divergence, objective.inputs, keys_of(key).attack_on_inputs)
        is_plain = isinstance(self.base, Standard)  # whose forward pass need not be computed again
        clean = outputs if is_plain else objective.forward(parameters, objective.inputs, key)
        robust = kl(clean.logits, objective.forward(parameters, attacked, key).logits, objective.counts)
        return loss + self.beta * robust, outputs
