"""Training under noise on the parameters."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.models.network import Parameters
from jaxrobust.robustness.mismatch import normal_like
from jaxrobust.robustness.trees import Number, check_numbers, settings_tree
from jaxrobust.training.methods.task import Loss, Task


@settings_tree
@dataclass(frozen=True)
class ForwardNoise:
    """Training under fresh Gaussian mismatch at every step (section 3.3).

    Attributes:
        std: Standard deviation relative to each parameter's absolute value.
    """

    std: Number = 0.3

    def __post_init__(self):
        check_numbers(self, "std")

    def loss(self, task: Task, parameters: Parameters, key: Array) -> Loss:
        """The task loss at noisy parameters; the noise itself is constant in the gradient."""
        key_noise, key_task = jax.random.split(key)
        noisy = jax.tree.map(
            lambda p, n: p + jax.lax.stop_gradient(jnp.abs(p) * self.std * n).astype(p.dtype),
            parameters,
            normal_like(key_noise, parameters),
        )
        return task.loss(noisy, key_task)
