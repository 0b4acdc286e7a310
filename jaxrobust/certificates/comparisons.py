"""Comparisons and choices between intervals: what is certain, what is possible.

A truth value is an interval of booleans: ``lower`` whether it is certain, ``upper`` whether it is possible.
A comparison with NaN is false; each one below is written so that NaN leaves both answers possible. A choice
takes the case that is certain, or the hull of both. So ``where(h > 0, h, 0.1 * h)`` has bounds, and with
it leaky_relu, elu, hard_tanh, softplus and clipping by hand.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.certificates.intervals import Interval, Operand, as_interval, hull
from jaxrobust.errors import InputError


def less(x: Operand, y: Operand) -> Interval:
    """``x < y``."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return Interval(b < c, ~(a >= d))


def less_or_equal(x: Operand, y: Operand) -> Interval:
    """``x <= y``."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return Interval(b <= c, ~(a > d))


def equal(x: Operand, y: Operand) -> Interval:
    """``x == y``: certain for two equal points, impossible for intervals that do not meet."""
    (a, b), (c, d) = as_interval(x), as_interval(y)
    return Interval((a == b) & (c == d) & (a == c), ~((b < c) | (d < a)))


def is_nan(x: Operand) -> Interval:
    """``x != x``, the test for NaN: impossible where both bounds are finite."""
    lower, upper = as_interval(x)
    return Interval(jnp.zeros_like(lower, bool), ~(jnp.isfinite(lower) & jnp.isfinite(upper)))


def invert(x: Interval) -> Interval:
    """``not x`` of truth values."""
    return Interval(~x.upper, ~x.lower)


def of_truth_values(operation: Callable[..., Array]) -> Callable[..., Interval]:
    """A rule for ``and`` and ``or`` of truth values; bits of whole numbers have none."""

    def rule(*operands: Operand, **_) -> Interval:
        ends = [as_interval(operand) for operand in operands]
        if any(end.lower.dtype != bool for end in ends):
            raise InputError("Bounds can be carried through 'and', 'or' and 'not' of truth values only.")
        return Interval(operation(*(e.lower for e in ends)), operation(*(e.upper for e in ends)))

    return rule


def select(which: Operand, *cases: Operand, **_) -> Interval:
    """``select_n``: the case that is chosen for certain, or the hull of the two that are possible."""
    ends = [as_interval(case) for case in cases]
    if not isinstance(which, Interval):
        return Interval(*(jax.lax.select_n(which, *end) for end in zip(*ends, strict=True)))
    on_false, on_true = ends
    either = hull(on_false, on_true)
    return Interval(
        *(
            jnp.where(which.lower, true, jnp.where(which.upper, both, false))
            for false, true, both in zip(on_false, on_true, either, strict=True)
        )
    )
