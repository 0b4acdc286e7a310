"""Weights kept from straying far from their tensor's mean."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Optimizer, Step
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class WeightClipping:
    """Any optimizer, its weights clipped after each step to ``mean +- alpha std``.

    Mean and standard deviation are each tensor's own. Vectors and scalars (biases, scales) are left alone.

    Attributes:
        optimizer: What takes the step.
        alpha: Standard deviations on either side; published 2.
    """

    optimizer: Optimizer
    alpha: Number = 2.0

    def __post_init__(self):
        check_numbers(self, "alpha")

    def init(self, parameters: Parameters) -> Memory:
        """What the optimizer remembers."""
        return self.optimizer.init(parameters)

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """The optimizer's step, then the clipping."""
        step = self.optimizer.step(evaluate, parameters, memory, learning_rate, key)
        return step._replace(parameters=jax.tree.map(self.clip, step.parameters))

    def clip(self, weights: Array) -> Array:
        """One tensor, clipped if it has two dimensions or more."""
        if weights.ndim < 2:
            return weights
        mean, reach = jnp.mean(weights), self.alpha * jnp.std(weights)
        return jnp.clip(weights, mean - reach, mean + reach).astype(weights.dtype)
