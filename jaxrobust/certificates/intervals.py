"""Interval arithmetic on arrays: bounds on a result when the operands are only known to lie in a range.

Every operation returns bounds of all results with operands inside theirs, elementwise. The bounds
hold for floating-point arithmetic as well: each operation that rounds moves its bounds outwards by more than
what the network's own evaluation, in any order of summation, and the evaluation of the bounds can be off
together. For a sum of ``n`` products that is ``(n + 2) eps sum |x| |w|`` (Higham 2002, section 3.1). The
products of the bounds are always computed in full precision; a network that is itself run in less, such as
TF32 on a GPU, is not covered.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError

T = TypeVar("T")
_NAMED = {"highest": jax.lax.Precision.HIGHEST, "float32": jax.lax.Precision.HIGHEST}


class Interval(NamedTuple):
    """What lies between two arrays, ends included; or between two trees of arrays, leaf by leaf."""

    lower: Float[Array, "..."]
    upper: Float[Array, "..."]


Operand = Interval | Array


def as_interval(x: Operand) -> Interval:
    """An array as the interval that holds nothing else."""
    return x if isinstance(x, Interval) else Interval(x, x)


def magnitude(x: Operand) -> Array:
    """The largest absolute value inside."""
    return jnp.maximum(jnp.abs(x.lower), jnp.abs(x.upper)) if isinstance(x, Interval) else jnp.abs(x)


def outwards(x: Interval, slack: Array | None = None, *, roundings: int = 2) -> Interval:
    """Move both bounds outwards, by ``slack`` or else by some roundings of their own size."""
    kind = jnp.finfo(x.lower.dtype)
    by = roundings * kind.eps * magnitude(x) if slack is None else slack
    # Results below the smallest normal number may be flushed to zero.
    return Interval(x.lower - by - kind.tiny, x.upper + by + kind.tiny)


def unbounded_unless_finite(x: Interval) -> Interval:
    """-inf and inf where a bound is NaN: differences and products of infinite bounds bound nothing."""
    is_nan = jnp.isnan(x.lower) | jnp.isnan(x.upper)
    return Interval(jnp.where(is_nan, -jnp.inf, x.lower), jnp.where(is_nan, jnp.inf, x.upper))


def check_product_precision(precision: Any) -> None:
    """Raise ``InputError`` for a product that the network computes in less than its operands' precision.

    Args:
        precision: The ``precision`` of a product in JAX; None for the default, which is TF32 on some GPUs.
    """
    if isinstance(precision, jax.lax.DotAlgorithmPreset):
        is_full = precision in (jax.lax.DotAlgorithmPreset.DEFAULT, jax.lax.DotAlgorithmPreset.F32_F32_F32)
    else:
        wanted = precision[0] if isinstance(precision, tuple) else precision
        default = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009
        is_full = jax.lax.Precision.HIGHEST in (wanted, None if default is None else _NAMED.get(default))
        is_full = is_full or jax.default_backend() == "cpu"
    if not is_full:
        raise InputError(
            f"Bounds hold for products in full precision, but this network computes them with {precision} on "
            f"{jax.default_backend()}: run network and bounds under "
            f"jax.default_matmul_precision('highest'), or on a CPU."
        )


def add(x: Operand, y: Operand) -> Interval:
    """``x + y``."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return outwards(Interval(a + c, b + d))


def subtract(x: Operand, y: Operand) -> Interval:
    """``x - y``."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return outwards(Interval(a - d, b - c))


def negate(x: Interval) -> Interval:
    """``-x``."""
    return Interval(-x.upper, -x.lower)


def multiply(x: Operand, y: Operand) -> Interval:
    """``x y``: the smallest and the largest of the four products of the ends."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    # An infinite bound times zero is zero: the factor is exactly zero, the bound only as large as one likes.
    products = [jnp.where((p == 0) | (q == 0), 0, p * q) for p in (a, b) for q in (c, d)]
    lower = jnp.minimum(jnp.minimum(products[0], products[1]), jnp.minimum(products[2], products[3]))
    upper = jnp.maximum(jnp.maximum(products[0], products[1]), jnp.maximum(products[2], products[3]))
    return outwards(Interval(lower, upper))


def reciprocal(x: Operand) -> Interval:
    """``1 / x``; unbounded where ``x`` may be zero."""
    lower, upper = as_interval(x)
    has_zero = (lower <= 0) & (upper >= 0)
    inverse = outwards(Interval(1 / jnp.where(has_zero, 1, upper), 1 / jnp.where(has_zero, 1, lower)))
    return Interval(jnp.where(has_zero, -jnp.inf, inverse.lower), jnp.where(has_zero, jnp.inf, inverse.upper))


def divide(x: Operand, y: Operand) -> Interval:
    """``x / y``: the product with ``[1 / upper, 1 / lower]``."""
    return multiply(x, reciprocal(y))


def square(x: Interval) -> Interval:
    """``x x`` with both factors the same, which is never negative."""
    lower = jnp.where((x.lower <= 0) & (x.upper >= 0), 0, jnp.minimum(jnp.abs(x.lower), jnp.abs(x.upper)))
    lower, upper = outwards(Interval(lower**2, magnitude(x) ** 2))
    return Interval(jnp.maximum(lower, 0), upper)


def maximum(x: Operand, y: Operand) -> Interval:
    """The larger of two; with ``y = 0`` the rectified linear unit."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return Interval(jnp.maximum(a, c), jnp.maximum(b, d))


def minimum(x: Operand, y: Operand) -> Interval:
    """The smaller of two."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return Interval(jnp.minimum(a, c), jnp.minimum(b, d))


def increasing(function: Callable[[Array], Array], x: Interval, *, roundings: int = 8) -> Interval:
    """A function that grows with its argument and is accurate to a few roundings."""
    return outwards(Interval(function(x.lower), function(x.upper)), roundings=roundings)


def hull(x: Interval, y: Interval) -> Interval:
    """The smallest interval around two."""
    return Interval(jnp.minimum(x.lower, y.lower), jnp.maximum(x.upper, y.upper))


def _parts(x: Array) -> tuple[Array, Array]:
    return jnp.maximum(x, 0), jnp.minimum(x, 0)


def bilinear(product: Callable[[Array, Array], Array], x: Operand, w: Operand, *, n_terms: int) -> Interval:
    """Matrix products, convolutions: sums of ``n_terms`` products of entries of ``x`` and ``w``.

    ``x`` is divided by sign. Where no entry of ``x`` changes its sign, as after a rectified linear unit, or
    where ``x`` or ``w`` is exact, this gives the smallest and largest of the four products of each term and
    so the tightest bounds; otherwise bounds at most 1.5 times as wide, the better ones of two kinds.

    Args:
        product: ``product(x, w)``, bilinear, with no negative coefficients, in full precision.
        x: First factor.
        w: Second factor.
        n_terms: Number of products in each sum.
    """
    slack = (n_terms + 2) * jnp.finfo(_dtype(x)).eps * product(magnitude(x), magnitude(w))
    if not isinstance(w, Interval):
        x, w, given = w, as_interval(x), product
        return outwards(_of_point(lambda a, b: given(b, a), x, w), slack)
    if not isinstance(x, Interval):
        return outwards(_of_point(product, x, w), slack)
    ranges = (x, w)

    def of_mixed() -> Interval:
        by_sign = outwards(_of_mixed(product, *ranges), slack)
        by_centre = bilinear_by_centre(product, *ranges, n_terms=n_terms)
        return Interval(jnp.fmax(by_sign.lower, by_centre.lower), jnp.fmin(by_sign.upper, by_centre.upper))

    # A branch at run time: wherever x comes from a rectified linear unit, four products are enough.
    return jax.lax.cond(
        jnp.all(x.lower >= 0), lambda: outwards(_of_positive(product, *ranges), slack), of_mixed
    )


def bilinear_by_centre(
    product: Callable[[Array, Array], Array], x: Interval, w: Interval, *, n_terms: int
) -> Interval:
    """As ``bilinear``, by centres and radii (Rump 1999): fewer products, bounds up to 1.5 times as wide."""
    x_centre, x_radius = (x.upper + x.lower) / 2, (x.upper - x.lower) / 2
    w_centre, w_radius = (w.upper + w.lower) / 2, (w.upper - w.lower) / 2
    centre = product(x_centre, w_centre)
    radius = product(jnp.abs(x_centre), w_radius) + product(x_radius, jnp.abs(w_centre) + w_radius)
    # The centres and radii are rounded as well, hence more than in ``bilinear``.
    slack = (n_terms + 8) * jnp.finfo(centre.dtype).eps * product(magnitude(x), magnitude(w))
    return outwards(Interval(centre - radius, centre + radius), slack)


def _dtype(x: Operand):
    return x.lower.dtype if isinstance(x, Interval) else x.dtype


def _of_point(product, x: Array, w: Interval) -> Interval:
    above, below = _parts(x)
    return Interval(
        product(above, w.lower) + product(below, w.upper), product(above, w.upper) + product(below, w.lower)
    )


def _of_positive(product, x: Interval, w: Interval) -> Interval:
    (lower_above, lower_below), (upper_above, upper_below) = _parts(w.lower), _parts(w.upper)
    return Interval(
        product(x.lower, lower_above) + product(x.upper, lower_below),
        product(x.upper, upper_above) + product(x.lower, upper_below),
    )


def _of_mixed(product, x: Interval, w: Interval) -> Interval:
    above = Interval(jnp.maximum(x.lower, 0), jnp.maximum(x.upper, 0))
    # The negative part of x is minus something positive.
    below = Interval(jnp.maximum(-x.upper, 0), jnp.maximum(-x.lower, 0))
    one, other = _of_positive(product, above, w), _of_positive(product, below, w)
    return Interval(one.lower - other.upper, one.upper - other.lower)
