"""The attack on the parameters of a network: gradient ascent inside a box around them.

The published protocol: from a random start close to the parameters, ``n_steps`` steps of the same length go
uphill on a loss::

    theta*_0 = theta + |theta| s0 R1 + c0 R2                  R1, R2 ~ N(0, 1)
    theta*  <- theta* + (size |theta| + size_c) / n_steps * direction(gradient of the loss at theta*)

where the direction is the sign of the gradient (norm ``"inf"``) or the gradient over its Euclidean norm,
tensor by tensor (norm ``"2"``). The result is projected onto the box ``|theta* - theta| <= size |theta| +
size_c``, which the published code announces and leaves out.

The sum of the directions is all that the loop must carry. As the sign has no derivative, the derivative of
the whole attack is elementwise and known in closed form, ``1 + sign(theta) (s0 R1 + size / n_steps * sum of
directions)``; no graph of the loop is kept. Under norm ``"2"`` the directions are held constant as well.
At ``theta = 0`` the derivative of ``|theta|`` is taken as 0.

Other starts, momentum and step halving search the same box in its own coordinates, ``theta* = theta + u (size
|theta| + size_c)`` with ``u`` in [-1, 1]; the derivative is ``1 + sign(theta) size u``. Both are settings of
``ascent.ascend``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool, Float

from jaxrobust.attacks.ascent import Keep, Steps, Value, ascend, is_better
from jaxrobust.errors import InputError
from jaxrobust.numerics import absolute, divide, sign, unit
from jaxrobust.path_rules import assign
from jaxrobust.trees import (
    Number,
    Parameters,
    PerLeaf,
    check_floats,
    check_numbers,
    for_every_leaf,
    settings_tree,
    static,
)

Size = PerLeaf
Norm = Literal["inf", "2"]
Start = Literal["near", "box", "corner"]


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
        start: ``"near"`` the parameters, as published; ``"box"``, uniform in the box; or a random
            ``"corner"`` of it. The last two do without the initial standard deviations.
        step: Length of the (first) step, relative to half the width of the box; None for ``1 / n_steps``, and
            for 2 with halving. Only with another start than ``"near"``, momentum or halving.
        momentum: Weight of the last move in the next one, 0.25 in APGD; None for none.
        halving: Whether the step is halved at checkpoints, as in APGD (``halving.StepHalving``).
        keep: The ``"last"`` parameters, as published, or the ``"best"`` of everything seen, the unattacked
            parameters included; the latter takes two evaluations more.

    Raises:
        InputError: A number out of range, a word that names no norm, start or rule, or a step in the
            published attack.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> box = jr.ParameterAttack(relative_size=0.1, n_steps=3, factors=((".*bias", 0.0), (".*", 1.0)))
        >>> box.at({"bias": jnp.ones(2), "kernel": jnp.ones(2)}, "relative_size")
        {'bias': 0.0, 'kernel': 0.1}
    """

    relative_size: Size = 0.2
    absolute_size: Size = 0.0
    initial_relative_std: Size = 0.001
    initial_absolute_std: Size = 0.0
    n_steps: int = static(default=10)
    norm: Norm = static(default="inf")
    project: bool = static(default=True)
    factors: tuple[tuple[str, float], ...] = static(default=())
    start: Start = static(default="near")
    step: Number | None = None
    momentum: Number | None = None
    halving: bool = static(default=False)
    keep: Keep = static(default="last")

    def __post_init__(self):
        if self.norm not in get_args(Norm):
            raise InputError(f'The norm of an attack is "inf" or "2", not {self.norm!r}.')
        if not isinstance(self.n_steps, int | np.integer) or self.n_steps < 1:
            raise InputError(f"An attack takes at least one step, but n_steps is {self.n_steps!r}.")
        check_numbers(self, "relative_size", "absolute_size", "initial_relative_std", "initial_absolute_std")
        if self.start not in get_args(Start) or self.keep not in get_args(Keep):
            raise InputError(
                f"start of an attack is one of {', '.join(get_args(Start))} and keep one of "
                f"{', '.join(get_args(Keep))}, not {self.start!r} and {self.keep!r}."
            )
        check_numbers(self, "step", "momentum")
        if self.step is not None and self.is_published:
            raise InputError(
                "step of an attack needs start='box' or 'corner', momentum or halving; the published attack "
                "takes n_steps steps that cross half the box together."
            )
        for rule, factor in self.factors:
            if not 0 <= factor < float("inf"):
                raise InputError(
                    f"The factor of an attack on {rule!r} must be finite and at least 0, not {factor!r}."
                )

    @property
    def is_published(self) -> bool:
        """Whether directions are summed from a start near the parameters, without momentum or halving."""
        return self.start == "near" and self.momentum is None and not self.halving

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


class OwnAttack(Protocol):
    """An attack of the user's own in the place of ``ParameterAttack``: a frozen dataclass."""

    def search(
        self, loss: Callable[[Parameters], Float[Array, ""]], parameters: Parameters, key: Array
    ) -> Parameters:
        """Return parameters of a larger loss, differentiable with respect to ``parameters`` or constant."""
        ...


class Attacked(NamedTuple):
    """What an attack gives.

    Attributes:
        parameters: The attacked parameters; differentiable with respect to the parameters they came from.
        losses: The loss before each step, ``(n_steps,)``; carries no gradient, like all that follows.
        value: Loss and failure at the attacked parameters with ``keep="best"``, else None.
        moved: Whether any parameter differs from the unattacked one.
        has_gradient: Whether any gradient on the way was not zero. An attack without one found nothing: the
            network may only look robust.
        is_finite: Whether every loss on the way was finite.
    """

    parameters: Parameters
    losses: Float[Array, " n_steps"]
    value: Value | None
    moved: Bool[Array, ""]
    has_gradient: Bool[Array, ""]
    is_finite: Bool[Array, ""]


def radius_of_box(
    theta: Float[Array, "*shape"], relative_size: Number, absolute_size: Number = 0.0
) -> Float[Array, "*shape"]:
    """Return half the width of the box around each parameter, ``relative_size |theta| + absolute_size``.

    Example:
        >>> radius_of_box(jnp.array([-2.0, 0.0]), 0.25, 0.5).tolist()
        [1.0, 0.5]
    """
    return relative_size * absolute(theta) + absolute_size


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


def _radius(theta: Float[Array, " size"], box: _Box) -> Float[Array, " size"]:
    return radius_of_box(theta, box.relative_size, box.absolute_size)


def _displace(
    theta: Float[Array, " size"], box: _Box, directions: Float[Array, " size"], settings: ParameterAttack
) -> Float[Array, " size"]:
    magnitude = absolute(theta)  # once: taken again for the radius, XLA rounds the sum differently
    radius = box.relative_size * magnitude + box.absolute_size
    shift = magnitude * box.start_relative + box.start_absolute + radius * (directions / settings.n_steps)
    if settings.project:
        shift = jnp.clip(shift, -radius, radius)
    return (theta + shift).astype(theta.dtype)


class _Frame(NamedTuple):
    """The coordinates in which the box is searched.

    Attributes:
        start: Where to begin.
        place: ``place(theta, coordinates)``: the attacked parameters, as one vector.
        project: Leads back into the region.
        step: Length of the first step.
    """

    start: Float[Array, " size"]
    place: Callable[[Array, Array], Array]
    project: Callable[[Array], Array]
    step: Number


def _frame(theta: Float[Array, " size"], box: _Box, key: Array, settings: ParameterAttack) -> _Frame:
    if settings.is_published:
        return _Frame(
            start=jnp.zeros_like(theta),
            place=lambda theta, directions: _displace(theta, box, directions, settings),
            project=lambda directions: directions,
            step=1.0,
        )
    radius = _radius(theta, box)
    start = {
        "near": lambda: divide(absolute(theta) * box.start_relative + box.start_absolute, radius),
        "box": lambda: jax.random.uniform(key, theta.shape, theta.dtype, -1, 1),
        "corner": lambda: jax.random.rademacher(key, theta.shape, theta.dtype),
    }[settings.start]()
    default = 2.0 if settings.halving else 1 / settings.n_steps
    return _Frame(
        start=jnp.clip(start, -1, 1).astype(theta.dtype),
        place=lambda theta, u: (theta + u * _radius(theta, box)).astype(theta.dtype),
        project=lambda u: jnp.clip(u, -1, 1),
        step=default if settings.step is None else settings.step,
    )


def attack(
    loss: Callable[[Parameters], Float[Array, ""]] | Callable[[Parameters], Value],
    parameters: Parameters,
    key: Array,
    settings: ParameterAttack | OwnAttack,
) -> Attacked:
    """Search the box around the parameters for those with the largest loss.

    Args:
        loss: What the attack increases, a function of the parameters alone: a number, or an
            ``ascent.Value`` of a loss and the share of wrong answers, which then counts first.
        parameters: Any tree of floating-point arrays.
        key: PRNG key of the random start.
        settings: Sizes, steps and norm; or an attack of your own, with ``search``.

    Returns:
        The attacked parameters, whose derivative with respect to ``parameters`` is the closed form above,
        the losses along the way, and whether anything was found. Use ``jax.lax.stop_gradient`` on the result
        to treat it as constant.

    Raises:
        InputError: The parameters are no floating-point arrays.

    Example:
        >>> found = attack(lambda p: jnp.sum(p), jnp.ones(2), jax.random.key(0), ParameterAttack(0.5))
        >>> found.parameters.tolist(), bool(found.has_gradient)
        ([1.5, 1.5], True)
    """
    if not isinstance(settings, ParameterAttack):
        return _searched(loss, parameters, key, settings)

    def objective(point: Parameters) -> Value:
        value = loss(point)
        return value if isinstance(value, Value) else Value(value, jnp.zeros_like(value))

    check_floats(parameters, "An attack")
    theta, as_tree = ravel_pytree(parameters)
    fixed = jax.lax.stop_gradient(theta)
    box = _box(parameters, theta, key, settings)
    frame = _frame(fixed, box, key, settings)

    def direction(gradient: Parameters) -> Float[Array, " size"]:
        return ravel_pytree(sign(gradient) if settings.norm == "inf" else jax.tree.map(unit, gradient))[0]

    found = ascend(
        objective,
        frame.start,
        Steps(settings.n_steps, frame.step, settings.momentum, settings.halving, settings.keep),
        direction=direction,
        project=frame.project,
        place=lambda coordinates: as_tree(frame.place(fixed, coordinates)),
        record=True,
    )
    attacked, value = frame.place(theta, found.point), found.value
    if value is not None:
        # The parameters themselves were seen too: a random start may lie below them.
        nominal = jax.lax.stop_gradient(objective(as_tree(fixed)))
        stays = is_better(nominal, value)
        attacked = jnp.where(stays, theta, attacked)
        value = Value(*(jnp.where(stays, a, b) for a, b in zip(nominal, value, strict=True)))
    moved = jnp.any(jax.lax.stop_gradient(attacked) != fixed)
    return Attacked(as_tree(attacked), found.losses, value, moved, found.has_gradient, found.is_finite)


def _searched(
    loss: Callable[[Parameters], Any], parameters: Parameters, key: Array, settings: OwnAttack
) -> Attacked:
    """What an attack of the user's own gives, with the losses before and after it."""

    def number(point: Parameters) -> Float[Array, ""]:
        value = loss(point)
        return value.loss if isinstance(value, Value) else value

    attacked = settings.search(number, parameters, key)
    fixed = jax.lax.stop_gradient(attacked)
    losses = jax.lax.stop_gradient(jnp.stack([number(parameters), number(fixed)]))
    differs = jax.tree.map(lambda a, p: jnp.any(a != p), fixed, jax.lax.stop_gradient(parameters))
    moved = jax.tree.reduce(jnp.logical_or, differs)
    return Attacked(attacked, losses, None, moved, moved, jnp.all(jnp.isfinite(losses)))
