"""A pull of the firing rates of a spiking network to a target."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.networks.network import Outputs
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class FiringRates:
    """A method whose task loss has ``weight * sum((rates - target)^2)`` added wherever it is computed.

    The sum runs over units and batch, as published. The term is part of the task loss and not of the method's
    result, so that attacks on the task loss see it as well. Networks without spikes have no such term.

    Attributes:
        base: The method.
        weight: Weight of the term; published 0.001.
        target: Spikes per time step; 0.01 is 10 Hz at a time step of 1 ms.
    """

    neutral: ClassVar = {"weight": 0.0}

    base: Method
    weight: Number
    target: float = static(default=0.01)

    def __post_init__(self):
        check_numbers(self, "weight", "target")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base method's loss with the term in its task loss."""
        return self.base.loss(objective._replace(terms=(*objective.terms, self.term)), parameters, key)

    def term(self, loss: Float[Array, ""], outputs: Outputs) -> Float[Array, ""]:
        """The loss with the term of one forward pass."""
        # An empty sum without spikes, which the compiler removes.
        rates = outputs.activations.get("rates", jnp.zeros((0,), loss.dtype))
        return loss + self.weight * jnp.sum((rates - self.target) ** 2)
