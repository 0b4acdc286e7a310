"""RMSprop."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Step, descend
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class RMSProp:
    """RMSprop without momentum (Tieleman and Hinton 2012), with the constants of PyTorch.

    Attributes:
        decay: Of the mean squared gradient, per step.
        eps: Added to its root.
    """

    decay: Number = 0.99
    eps: Number = 1e-8

    def __post_init__(self):
        check_numbers(self, "decay", maximum=1.0)
        check_numbers(self, "eps")

    def init(self, parameters: Parameters) -> Memory:
        """Zero squares."""
        return jax.tree.map(jnp.zeros_like, parameters)

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """One gradient, one step."""
        loss, forward, gradient = evaluate(parameters, key)
        squares = jax.tree.map(
            lambda s, g: (self.decay * s + (1 - self.decay) * g**2).astype(s.dtype), memory, gradient
        )
        direction = jax.tree.map(lambda g, s: g / (jnp.sqrt(s) + self.eps), gradient, squares)
        return Step(descend(parameters, learning_rate, direction), squares, loss, forward)
