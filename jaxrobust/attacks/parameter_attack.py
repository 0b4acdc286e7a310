"""The attack on the parameters of a network: gradient ascent inside a box around them.

From a random start close to the parameters, ``n_steps`` steps of the same length go uphill on a loss::

    theta*_0 = theta + |theta| s0 R1 + c0 R2                  R1, R2 ~ N(0, 1)
    theta*  <- theta* + (size |theta| + size_c) / n_steps * direction(gradient of the loss at theta*)

where the direction is the sign of the gradient (norm ``"inf"``) or the gradient over its Euclidean norm,
tensor by tensor (norm ``"2"``). The result is projected onto the box ``|theta* - theta| <= size |theta| +
size_c``, which the published code announces and leaves out.

The sum of the directions is all that a loop must carry. As the sign has no derivative, the derivative of the
whole attack is elementwise and known in closed form, ``1 + sign(theta) (s0 R1 + size / n_steps * sum of
directions)``; no graph of the loop is kept. Under norm ``"2"`` the directions are held constant as well.
At ``theta = 0`` the derivative of ``|theta|`` is taken as 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.numerics import absolute, sign, unit
from jaxrobust.path_rules import assign
from jaxrobust.trees import Parameters, PerLeaf, for_every_leaf, settings_tree, static

Size = PerLeaf
Norm = Literal["inf", "2"]


@settings_tree
@dataclass(frozen=True)
class ParameterAttack:
    """How the parameters are attacked. Sizes are numbers for all parameters, or trees like the parameters.

    ``factors`` scale the sizes by name: ``((".*bn.*", 0.0), (".*", 1.0))`` leaves batch normalisation out.

    Attributes:
        relative_size: Half the width of the box, as a fraction of each parameter's absolute value.
        absolute_size: What is added to that, the same for every parameter.
        initial_relative_std: Standard deviation of the random start, relative to each parameter.
        initial_absolute_std: The same, absolute.
        n_steps: Number of steps.
        norm: ``"inf"`` for steps along the sign of the gradient, ``"2"`` along the normalised gradient.
        project: Whether the result is clipped to the box; only the random start can leave it otherwise.
        factors: First-match rules (``path_rules``): a regular expression for whole paths of parameters, and
            the factor of both sizes and of the random start there. Without rules every factor is 1.
    """

    relative_size: Size = 0.2
    absolute_size: Size = 0.0
    initial_relative_std: Size = 0.001
    initial_absolute_std: Size = 0.0
    n_steps: int = static(default=10)
    norm: Norm = static(default="inf")
    project: bool = static(default=True)
    factors: tuple[tuple[str, float], ...] = static(default=())

    def __post_init__(self):
        if self.norm not in get_args(Norm):
            raise InputError(f'The norm of an attack is "inf" or "2", not {self.norm!r}.')
        if not isinstance(self.n_steps, int) or self.n_steps < 1:
            raise InputError(f"An attack takes at least one step, but n_steps is {self.n_steps!r}.")
        for name in ("relative_size", "absolute_size", "initial_relative_std", "initial_absolute_std"):
            sizes = jax.tree.leaves(getattr(self, name))
            if any(isinstance(size, int | float) and not 0 <= size < float("inf") for size in sizes):
                raise InputError(f"{name} of an attack must be a finite number of at least 0, not {sizes}.")
        for rule, factor in self.factors:
            if not 0 <= factor < float("inf"):
                raise InputError(
                    f"The factor of an attack on {rule!r} must be finite and at least 0, not {factor!r}."
                )

    def at(self, parameters: Parameters, name: str) -> Parameters:
        """The size or start ``name`` of every tensor, its factor included.

        Raises:
            InputError: A tree of sizes does not have the structure of the parameters; or a rule fits no
                parameter, or no rule a parameter.
        """
        sizes = for_every_leaf(getattr(self, name), parameters, f"{name} of an attack")
        if not self.factors:
            return sizes
        return jax.tree.map(lambda size, factor: size * factor, sizes, assign(self.factors, parameters))


class Attacked(NamedTuple):
    """What an attack gives.

    Attributes:
        parameters: The attacked parameters; differentiable with respect to the parameters they came from.
        losses: The loss before each step, ``(n_steps,)``; carries no gradient.
    """

    parameters: Parameters
    losses: Float[Array, " n_steps"]


class _Box(NamedTuple):
    """The settings of the attack and its random start, for the parameters as one vector.

    One vector rather than a tree, as every elementwise operation on every tensor would be a program of its
    own to compile; one draw for the same reason.
    """

    relative_size: Float[Array, "..."]
    absolute_size: Float[Array, "..."]
    start_relative: Float[Array, " size"]
    start_absolute: Float[Array, " size"]


def _box(parameters: Parameters, theta: Float[Array, " size"], key: Array, settings: ParameterAttack) -> _Box:
    def of_every_element(name: str) -> Array:
        if not settings.factors and jax.tree.structure(getattr(settings, name)) == jax.tree.structure(0.0):
            return jnp.asarray(getattr(settings, name))
        values = settings.at(parameters, name)
        return ravel_pytree(jax.tree.map(lambda v, p: jnp.broadcast_to(v, p.shape), values, parameters))[0]

    relative, absolute = jax.random.normal(key, (2, theta.size), theta.dtype)
    return _Box(
        of_every_element("relative_size"),
        of_every_element("absolute_size"),
        relative * of_every_element("initial_relative_std"),
        absolute * of_every_element("initial_absolute_std"),
    )


def _direction(gradient: Array, norm: str) -> Array:
    return sign(gradient) if norm == "inf" else unit(gradient)


def _displace(
    theta: Float[Array, " size"], box: _Box, directions: Float[Array, " size"], settings: ParameterAttack
) -> Float[Array, " size"]:
    magnitude = absolute(theta)
    radius = box.relative_size * magnitude + box.absolute_size
    shift = magnitude * box.start_relative + box.start_absolute + radius * (directions / settings.n_steps)
    if settings.project:
        shift = jnp.clip(shift, -radius, radius)
    return (theta + shift).astype(theta.dtype)


def attack(
    loss: Callable[[Parameters], Float[Array, ""]],
    parameters: Parameters,
    key: Array,
    settings: ParameterAttack,
) -> Attacked:
    """Search the box around the parameters for those with the largest loss.

    Args:
        loss: What the attack increases, a function of the parameters alone.
        parameters: Any tree of floating-point arrays.
        key: PRNG key of the random start.
        settings: Sizes, steps and norm.

    Returns:
        The attacked parameters, whose derivative with respect to ``parameters`` is the closed form above,
        and the losses along the way. Use ``jax.lax.stop_gradient`` on the result to treat it as constant.
    """
    theta, as_tree = ravel_pytree(parameters)
    box = _box(parameters, theta, key, settings)
    fixed = jax.lax.stop_gradient(theta)

    def climb(directions, _):
        value, gradient = jax.value_and_grad(loss)(as_tree(_displace(fixed, box, directions, settings)))
        step, _ = ravel_pytree(jax.tree.map(lambda g: _direction(g, settings.norm), gradient))
        return directions + step, value

    directions, losses = jax.lax.scan(climb, jnp.zeros_like(theta), length=settings.n_steps)
    directions, losses = jax.lax.stop_gradient((directions, losses))
    return Attacked(as_tree(_displace(theta, box, directions, settings)), losses)
