"""Stochastic gradient descent."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Step, descend, momentum_step
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Attributes:
        momentum: ``m <- momentum m + g``; None keeps no momentum at all.
        nesterov: Whether the step is ``g + momentum m`` in place of ``m``.
        weight_decay: Multiple of the parameters that is added to the gradient. Published for ResNet32:
            ``SGD(0.9, nesterov=True, weight_decay=5e-4)``.
    """

    momentum: Number | None = None
    nesterov: bool = static(default=False)
    weight_decay: Number = 0.0

    def __post_init__(self):
        check_numbers(self, "momentum", maximum=1.0)
        check_numbers(self, "weight_decay")

    def init(self, parameters: Parameters) -> Memory:
        """Momentum at rest."""
        return () if self.momentum is None else jax.tree.map(jnp.zeros_like, parameters)

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """One gradient, one step."""
        evaluation = evaluate(parameters, key)
        direction = jax.tree.map(
            lambda g, p: (g + self.weight_decay * p).astype(p.dtype), evaluation.gradient, parameters
        )
        if self.momentum is not None:
            direction, memory = momentum_step(direction, memory, self.momentum, nesterov=self.nesterov)
        return Step(
            descend(parameters, learning_rate, direction), memory, evaluation.loss, evaluation.forward
        )
