"""Sharpness-aware minimization (Foret et al. 2021) and its scale-free form (Kwon et al. 2021)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.numerics import unit
from jaxrobust.training.methods.ascent import loss_uphill
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class SharpnessAware:
    """The gradient of the task loss one step uphill from the parameters, for comparison.

    SAM moves by ``rho g / |g|``, ASAM by ``rho T^2 g / |T g|`` with ``T = |theta| + offset``; the norm is
    taken over all tensors together. This is a loss and not ``optax.contrib.sam``, so that any optimizer can
    follow it, ``rho`` may be an axis of models, a zero gradient gives no NaN, and the running statistics come
    from the base forward pass; a test compares the two.

    Attributes:
        base: The method whose loss is made flat.
        rho: Length of the step.
        adaptive: Whether the step scales with the parameters (ASAM).
        offset: What ASAM adds to each parameter's absolute value.
        warmup: Epochs of base training before.
    """

    base: Method
    rho: Number = 0.05
    adaptive: bool = static(default=False)
    offset: Number = 0.01
    warmup: Number = 0.0

    def __post_init__(self):
        check_numbers(self, "rho", "offset", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss at the displaced parameters."""

        def direction(gradient: Parameters) -> Parameters:
            if not self.adaptive:
                return unit(gradient)
            scale = jax.tree.map(lambda p: jnp.abs(p) + self.offset, jax.lax.stop_gradient(parameters))
            return jax.tree.map(jnp.multiply, scale, unit(jax.tree.map(jnp.multiply, scale, gradient)))

        return loss_uphill(
            self.base, objective, parameters, key, direction=direction, length=self.rho, warmup=self.warmup
        )
