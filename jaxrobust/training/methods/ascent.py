"""What AMP and SAM share: the gradient of a loss one step uphill."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup
from jaxrobust.trees import Parameters

Displacement = Callable[[Parameters, Parameters], Parameters]


def loss_uphill(
    base: Method,
    objective: Objective,
    parameters: Parameters,
    key: Array,
    displacement: Displacement,
    warmup: float | Float[Array, ""],
) -> Loss:
    """The base loss at ``parameters + displacement(parameters, gradient)``, displacement held constant.

    Both losses have the same key, hence the same noise and dropout mask.
    """

    def loss(p: Parameters) -> Loss:
        return base.loss(objective, p, key)

    def uphill() -> Array:
        fixed = jax.lax.stop_gradient(parameters)
        gradient = jax.grad(loss, has_aux=True)(fixed)[0]
        moved = jax.tree.map(
            lambda p, d: p + jax.lax.stop_gradient(d).astype(p.dtype),
            parameters,
            displacement(fixed, gradient),
        )
        return loss(moved)[0]

    before, forward = loss(parameters)
    return after_warmup(objective, warmup, uphill, before), forward


def normalized(x: Array, length: Array) -> Array:
    """``x / length``, and 0 where the length is."""
    return jnp.where(length > 0, x / jnp.where(length > 0, length, 1), 0)
