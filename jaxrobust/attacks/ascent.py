"""The one driver of all attacks: gradient ascent on a loss, from a start, inside a region.

An attack is a choice of parts: where to start, which direction to take (``numerics.sign``,
``numerics.unit``), how to stay inside the region (a projection), how many steps of what length, and what to
keep. ``ascend`` runs them over any tree::

    z        = project(x_k + eta direction(grad loss(x_k)))
    x_{k+1}  = z                                                                      without momentum
    x_{k+1}  = project(x_k + (1 - m) (z - x_k) + m (x_k - x_{k-1}))                   with momentum m

The loss is one number for the whole tree (an attack on parameters), or one number per sample (an attack on
inputs, whose leaves then have the samples as their first axis): step lengths, best points and flags are kept
per number. The loop is a ``fori_loop``; the program does not grow with the number of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, PyTree

from jaxrobust.attacks.halving import StepHalving, expand, start_halving
from jaxrobust.errors import InputError
from jaxrobust.numerics import map_draws
from jaxrobust.trees import Number, check_numbers, settings_tree, static

Point = PyTree[Float[Array, "..."]]
Keep = Literal["best", "last"]


class Value(NamedTuple):
    """How good a point is for the attack; failures count first, losses among equal failures.

    Attributes:
        loss: What is increased.
        failure: How much fails there: 1 for a sample with the wrong answer, the share of wrong answers for a
            whole data set; zeros where only the loss counts.
    """

    loss: Float[Array, "*numbers"]
    failure: Float[Array, "*numbers"]


Objective = Callable[[Point], Value]


def loss_alone(loss: Callable[[Point], Float[Array, "*numbers"]]) -> Objective:
    """Return an objective that knows no failures."""

    def objective(point: Point) -> Value:
        value = loss(point)
        return Value(value, jnp.zeros_like(value))

    return objective


@settings_tree
@dataclass(frozen=True)
class Steps:
    """Number and length of the steps, and what is kept of the way.

    Attributes:
        n_steps: Number of steps; may be traced, unless losses are recorded.
        step: Length of the first step, in units of the direction.
        momentum: Weight of the last move in the next one; APGD has 0.25, None is plain ascent.
        halving: Whether steps are halved at checkpoints (``halving.StepHalving``), as APGD does.
        keep: ``"best"`` of everything seen, start and end included; or the ``"last"`` point, which needs one
            evaluation less.
    """

    n_steps: Number
    step: Number
    momentum: Number | None = None
    halving: bool = static(default=False)
    keep: Keep = static(default="best")

    def __post_init__(self):
        check_numbers(self, "n_steps", "step")
        check_numbers(self, "momentum", maximum=1)
        if self.keep not in get_args(Keep):
            raise InputError(f'keep must be "best" or "last", not {self.keep!r}.')


class Ascended(NamedTuple):
    """Where an ascent leads; constant in every gradient.

    Attributes:
        point: The best point seen, or the last one.
        value: Its value; None for the last one, which is not evaluated.
        losses: The loss before each step, if recorded, else nothing, ``(0, ...)``.
        has_gradient: Whether any gradient on the way was not zero. Without one the attack found nothing by
            its own doing: the loss may be flat, saturated or not differentiable.
        is_finite: Whether every loss on the way was finite. NaN is never the best.
    """

    point: Point
    value: Value | None
    losses: Float[Array, "steps *numbers"]
    has_gradient: Bool[Array, "*numbers"]
    is_finite: Bool[Array, "*numbers"]


class _Way(NamedTuple):
    point: Point
    previous: Point | None
    best: tuple[Point, Value] | None
    halving: StepHalving | None
    losses: Array
    has_gradient: Array
    is_finite: Array


def _same(point: Point) -> Point:
    return point


def is_better(value: Value, than: Value) -> Bool[Array, "*numbers"]:
    """Compare two values: more failures, or as many and a larger loss. NaN is never better."""
    as_bad = (value.failure == than.failure) & (value.loss > than.loss)
    return ((value.failure > than.failure) | as_bad) & ~jnp.isnan(value.loss)


def better_of(one: tuple[Point, Value], other: tuple[Point, Value]) -> tuple[Point, Value]:
    """Select, per number, the better of two points; the first where neither is."""
    better = is_better(other[1], one[1])

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(expand(better, a), a, b)

    return jax.tree.map(choose, other, one)


def ascend(
    objective: Objective,
    start: Point,
    steps: Steps,
    *,
    direction: Callable[[Point], Point],
    project: Callable[[Point], Point] = _same,
    place: Callable[[Point], Point] = _same,
    record: bool = False,
) -> Ascended:
    """Climb.

    Args:
        objective: Value of a tree; its loss is increased.
        start: Where to begin, inside the region.
        steps: Number and length of steps, and what is kept.
        direction: Makes a direction of a gradient, such as ``numerics.sign`` or ``numerics.unit``, which
            count NaN as 0.
        project: Leads back into the region.
        place: The tree at which the objective is evaluated, of the coordinates that are stepped. The
            gradient is with respect to this tree, whose structure is that of the direction's argument.
        record: Whether the losses before each step are returned; ``n_steps`` must then be a Python number.

    Example:
        >>> from jaxrobust.numerics import sign
        >>> objective = loss_alone(lambda x: -jnp.sum((x - 1) ** 2))
        >>> ascend(objective, jnp.zeros(2), Steps(4, 0.25), direction=sign).point.tolist()
        [1.0, 1.0]
    """

    def evaluate(point: Point) -> tuple[Value, Point]:
        loss, pullback, failure = jax.vjp(objective, place(point), has_aux=True)  # pyright: ignore
        return Value(loss, jax.lax.stop_gradient(failure)), pullback(jnp.ones_like(loss))[0]

    start = jax.lax.stop_gradient(start)
    shape = jax.eval_shape(lambda p: objective(place(p)).loss, start)
    lowest = jnp.full(shape.shape, -jnp.inf, shape.dtype)
    way = _Way(
        point=start,
        previous=None if steps.momentum is None else start,
        best=(start, Value(lowest, lowest)) if steps.keep == "best" else None,
        halving=start_halving(start, lowest, steps.step, steps.n_steps) if steps.halving else None,
        losses=jnp.zeros((int(steps.n_steps) if record else 0, *shape.shape), shape.dtype),
        has_gradient=jnp.zeros(shape.shape, bool),
        is_finite=jnp.ones(shape.shape, bool),
    )

    def climb(index: Array, way: _Way) -> _Way:
        value, gradient = evaluate(way.point)
        way = way._replace(
            best=None if way.best is None else better_of(way.best, (way.point, value)),
            losses=way.losses.at[index].set(value.loss) if record else way.losses,
            has_gradient=way.has_gradient | _any_nonzero(gradient, value.loss.ndim),
            is_finite=way.is_finite & jnp.isfinite(value.loss),
        )
        point, eta, halving = way.point, steps.step, way.halving
        move = direction(gradient)
        if halving is not None:
            halving, point, move = halving.update(index, point, value.loss, move)
            eta = halving.eta
        new = project(_moved(point, move, eta))
        if steps.momentum is None:
            return way._replace(point=new, halving=halving)
        kept = jnp.where(index == 0, 0, steps.momentum)
        new = jax.tree.map(
            lambda x, z, old: (x + (1 - kept) * (z - x) + kept * (x - old)).astype(x.dtype),
            point,
            new,
            way.previous,
        )
        return way._replace(point=project(new), previous=point, halving=halving)

    n_steps = steps.n_steps if isinstance(steps.n_steps, int) else jnp.asarray(steps.n_steps, jnp.int32)
    way = jax.lax.fori_loop(0, n_steps, climb, way)
    point, value = way.point, None
    if way.best is not None:
        end = objective(place(point))
        way = way._replace(is_finite=way.is_finite & jnp.isfinite(end.loss))
        point, value = better_of(way.best, (point, end))
    return jax.lax.stop_gradient(Ascended(point, value, way.losses, way.has_gradient, way.is_finite))


def _moved(point: Point, move: Point, eta: Number) -> Point:
    def moved(x: Array, d: Array) -> Array:
        length = jnp.asarray(expand(eta, x))
        # small steps would be lost in half precision
        wide = max(x.dtype, length.dtype, key=lambda dtype: dtype.itemsize)
        return (x.astype(wide) + length.astype(wide) * d.astype(wide)).astype(x.dtype)

    return jax.tree.map(moved, point, move)


def _any_nonzero(gradient: Point, n_axes: int) -> Array:
    found = [
        jnp.any((leaf != 0) & ~jnp.isnan(leaf), axis=tuple(range(n_axes, leaf.ndim)))
        for leaf in jax.tree.leaves(gradient)
    ]
    return jax.tree.reduce(jnp.logical_or, found)


def from_restarts(
    attack: Callable[[Array], Ascended], key: Array, n_restarts: int, *, restarts_at_once: int = 1
) -> Ascended:
    """Run an attack from several random starts and keep the best of everything seen, per number.

    Restart ``i`` depends on ``key`` and ``i`` alone, so more restarts never find less.

    Args:
        attack: ``attack(key) -> Ascended`` that keeps the best point.
        key: PRNG key of all restarts.
        n_restarts: Number of restarts, an axis of one program.
        restarts_at_once: Restarts computed side by side; 1 is fastest on a CPU.
    """
    found = map_draws(attack, key, n_restarts, name="restarts", at_once=restarts_at_once)
    if found.value is None:
        raise InputError('Restarts need keep="best": the last points cannot be compared.')
    loss, failure = found.value
    worst = jnp.argmax(jnp.where(failure == jnp.max(failure, axis=0), loss, -jnp.inf), axis=0)

    def pick(leaf: Array) -> Array:
        index = worst.reshape((1, *worst.shape, *([1] * (leaf.ndim - 1 - worst.ndim))))
        return jnp.take_along_axis(leaf, index, axis=0)[0]

    return Ascended(
        jax.tree.map(pick, found.point),
        Value(pick(loss), pick(failure)),
        found.losses,
        jnp.any(found.has_gradient, axis=0),
        jnp.all(found.is_finite, axis=0),
    )
