"""Training under noise on the parameters."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from jaxrobust.training.methods.objective import Loss, Objective, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class ForwardNoise:
    """Training under fresh Gaussian mismatch at every step (the paper's forward noise).

    Attributes:
        std: Standard deviation relative to each parameter's absolute value.
    """

    neutral: ClassVar = {"std": 0.0}

    std: Number = 0.3

    def __post_init__(self):
        check_numbers(self, "std")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The task loss at noisy parameters; the noise itself is constant in the gradient."""
        # One draw for all tensors, as each draw is a loop of its own to compile.
        theta, as_tree = ravel_pytree(parameters)
        noise = jnp.abs(theta) * self.std * jax.random.normal(keys_of(key).noise, theta.shape, theta.dtype)
        return objective.loss(as_tree(theta + jax.lax.stop_gradient(noise).astype(theta.dtype)), key)
