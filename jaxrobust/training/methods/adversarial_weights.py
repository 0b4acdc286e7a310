"""Adversarial weight perturbation (Wu et al. 2020), with or without an attack on the inputs."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack, static
from jaxrobust.errors import InputError
from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class InputAttack:
    """Gradient ascent on the inputs inside the box of half-width ``size`` around them.

    Attributes:
        size: Largest change of an input value, in the unit of the inputs; the start is drawn uniformly.
        n_steps: Steps along the sign of the gradient, each of ``size / n_steps``.
        bounds: Range that every input is clipped to, as (0, 1) for images; None for no bounds.
    """

    size: Number
    n_steps: int = static(default=3)
    bounds: tuple[float, float] | None = static(default=None)

    def __post_init__(self):
        check_numbers(self, "size")
        if not isinstance(self.n_steps, int) or self.n_steps < 1:
            raise InputError(f"An attack takes at least one step, but n_steps is {self.n_steps!r}.")

    def __call__(
        self, loss: Callable[[Array], Array], inputs: Float[Array, "batch ..."], key: Array
    ) -> Float[Array, "batch ..."]:
        """Inputs inside the box with a larger ``loss``; constant in any gradient."""
        inputs = jax.lax.stop_gradient(inputs)

        def inside(x: Array) -> Array:
            x = jnp.clip(x, inputs - self.size, inputs + self.size)
            return x if self.bounds is None else jnp.clip(x, *self.bounds)

        def climb(x: Array, _) -> tuple[Array, None]:
            step = self.size / self.n_steps * jnp.sign(jax.grad(loss)(x))
            return inside(x + step).astype(x.dtype), None

        start = inputs + self.size * jax.random.uniform(key, inputs.shape, inputs.dtype, -1, 1)
        found, _ = jax.lax.scan(climb, inside(start).astype(inputs.dtype), length=self.n_steps)
        return jax.lax.stop_gradient(found)


@settings_tree
@dataclass(frozen=True)
class AdversarialWeights:
    """The gradient of the task loss at ``theta' = theta + gamma (theta* - theta)`` (AWP).

    ``theta*`` is found by an attack on the task loss. The inputs, if attacked, are attacked on the perturbed
    network ``theta'`` whose loss trains; the published code attacked them on the unperturbed one, and only
    for two of its three networks.

    Attributes:
        base: The method whose loss is attacked.
        attack: The attack on the parameters; the published size is 0.2.
        gamma: Which part of the way to the attacked parameters is gone.
        input_attack: The attack on the inputs; None for none.
        warmup: Epochs of base training before.
    """

    base: Method
    attack: ParameterAttack
    gamma: Number = 0.1
    input_attack: InputAttack | None = None
    warmup: Number = 0.0

    def __post_init__(self):
        check_numbers(self, "gamma", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base method's loss at the perturbed parameters (and inputs)."""

        def base(p: Parameters, inputs: Array) -> Array:
            return self.base.loss(objective.with_inputs(inputs), p, key)[0]

        def perturbed() -> Array:
            attacked = attack(
                lambda p: base(p, objective.inputs), parameters, keys_of(key).attack, self.attack
            )
            moved = jax.tree.map(
                lambda p, a: p + jax.lax.stop_gradient(self.gamma * (a - p)).astype(p.dtype),
                parameters,
                attacked.parameters,
            )
            if self.input_attack is None:
                return base(moved, objective.inputs)
            fixed = jax.lax.stop_gradient(moved)
            return base(
                moved,
                self.input_attack(lambda x: base(fixed, x), objective.inputs, keys_of(key).attack_on_inputs),
            )

        before, forward = self.base.loss(objective, parameters, key)
        return after_warmup(objective, self.warmup, perturbed, before), forward
