"""Bounds on the output of any feed-forward ``apply`` when its parameters lie in a box.

``apply`` is traced, and every operation that JAX finds in it is replaced by the same operation on intervals.
What does not depend on the parameters stays exact. A spiking network has rules of its own in ``lsnn_bounds``.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import PyTree

from jaxrobust.certificates.intervals import (
    Interval,
    Operand,
    add,
    as_interval,
    bilinear,
    divide,
    increasing,
    maximum,
    minimum,
    multiply,
    negate,
    outwards,
    reciprocal,
    square,
    subtract,
)
from jaxrobust.errors import InputError
from jaxrobust.losses import Apply

HIGHEST = jax.lax.Precision.HIGHEST


def output_bounds(apply: Apply, box: Interval, inputs: PyTree[Array]) -> Interval:
    """Bounds on ``apply(parameters, inputs)`` for all parameters in a box.

    Sound for every network made of the operations below, tight for none with more than one layer: each
    operation forgets how its operands depend on each other.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, made of linear maps, convolutions, pooling,
            elementwise functions that grow with their argument, sums, products and quotients.
        box: Two trees of parameters, ``verification.box_around`` makes them.
        inputs: One batch, exactly known.

    Returns:
        Lower and upper bounds of the shape of the output.

    Raises:
        InputError: ``apply`` contains an operation without a rule.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> box = jr.box_around({"w": jnp.eye(2)}, relative_size=0.1)
        >>> bounds = jr.output_bounds(lambda p, x: jax.nn.relu(x @ p["w"]), box, jnp.array([[1.0, 2.0]]))
        >>> print(bounds.lower < jnp.array([[0.901, 1.801]]), bounds.upper > jnp.array([[1.099, 2.199]]))
        [[ True  True]] [[ True  True]]
    """
    program = jax.make_jaxpr(apply)(box.lower, inputs)
    ranges = [Interval(a, b) for a, b in zip(*map(jax.tree.leaves, box), strict=True)]
    (bounds,) = _evaluate(program.jaxpr, program.consts, [*ranges, *jax.tree.leaves(inputs)])
    lower, upper = as_interval(bounds)
    # Differences and products of infinite bounds are no numbers: there is no bound.
    return Interval(jnp.where(jnp.isnan(lower), -jnp.inf, lower), jnp.where(jnp.isnan(upper), jnp.inf, upper))


def _evaluate(program: Jaxpr, constants: Sequence[Any], arguments: Sequence[Operand]) -> list[Operand]:
    values: dict[Any, Operand] = dict(zip(program.constvars, constants, strict=True))
    values |= dict(zip(program.invars, arguments, strict=True))

    def read(variable: Any) -> Operand:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in program.eqns:
        operands = [read(variable) for variable in equation.invars]
        name, how = equation.primitive.name, equation.params
        inner = how.get("jaxpr") or how.get("call_jaxpr")
        if name in CALLS and inner is not None:
            closed = isinstance(inner, ClosedJaxpr)
            results = _evaluate(inner.jaxpr if closed else inner, inner.consts if closed else [], operands)
        elif not any(isinstance(operand, Interval) for operand in operands):
            results = equation.primitive.bind(*operands, **how)
            results = results if equation.primitive.multiple_results else [results]
        elif name == "mul" and equation.invars[0] is equation.invars[1]:
            results = [square(as_interval(operands[0]))]
        elif name in RULES:
            results = [RULES[name](*operands, **how)]
        elif name in REARRANGEMENTS:
            bind = partial(equation.primitive.bind, **how)
            ends = zip(*map(as_interval, operands), strict=True)
            results = [Interval(*(bind(*end) for end in ends))]
        else:
            raise InputError(
                f"Bounds cannot be carried through the operation {name!r}: there is no interval rule for it. "
                f"Write the network with other operations (jnp.maximum for a comparison and jnp.where), or "
                f"add a rule to propagation.RULES."
            )
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in program.outvars]


def _dot(x: Operand, w: Operand, *, dimension_numbers, preferred_element_type, **_) -> Interval:
    contracted = dimension_numbers[0][0]
    shape = as_interval(x).lower.shape
    product = partial(
        jax.lax.dot_general,
        dimension_numbers=dimension_numbers,
        precision=HIGHEST,
        preferred_element_type=preferred_element_type,
    )
    return bilinear(product, x, w, n_terms=math.prod(shape[axis] for axis in contracted))


def _convolution(x: Operand, w: Operand, **how) -> Interval:
    kernel, spec = as_interval(w).lower.shape, how["dimension_numbers"].rhs_spec
    keep = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers")
    counts = ("feature_group_count", "batch_group_count")
    product = partial(
        jax.lax.conv_general_dilated, precision=HIGHEST, **{name: how[name] for name in (*keep, *counts)}
    )
    return bilinear(product, x, w, n_terms=math.prod(kernel) // kernel[spec[0]])


def _sum(x: Interval, *, axes, **_) -> Interval:
    n_terms = math.prod(x.lower.shape[axis] for axis in axes)
    slack = n_terms * jnp.finfo(x.lower.dtype).eps * jnp.sum(jnp.maximum(abs(x.lower), abs(x.upper)), axes)
    return outwards(Interval(jnp.sum(x.lower, axes), jnp.sum(x.upper, axes)), slack)


def _window_sum(x: Interval, **how) -> Interval:
    add_up = partial(jax.lax.reduce_window, init_value=0.0, computation=jax.lax.add)
    window = {name: how[name] for name in ("window_dimensions", "window_strides", "padding")}
    dilated = {name: how[name] for name in ("base_dilation", "window_dilation")}
    lower, upper, size = (
        add_up(end, **window, **dilated) for end in (*x, jnp.maximum(abs(x.lower), abs(x.upper)))
    )
    n_terms = math.prod(how["window_dimensions"])
    return outwards(Interval(lower, upper), n_terms * jnp.finfo(lower.dtype).eps * size)


def _select(which: Array, *cases: Operand, **_) -> Interval:
    # Comparisons have no rule, so the choice never depends on the parameters.
    ends = zip(*map(as_interval, cases), strict=True)
    return Interval(*(jax.lax.select_n(which, *end) for end in ends))


def _power(x: Interval, *, y: int, **_) -> Interval:
    if y == 2:
        return square(x)
    if y > 0 and y % 2 == 1:
        return increasing(lambda end: end**y, x)
    raise InputError(f"Bounds can be carried through odd powers and squares, but not through x**{y}.")


def _absolute(x: Interval, **_) -> Interval:
    has_zero = (x.lower <= 0) & (x.upper >= 0)
    low, high = jnp.abs(x.lower), jnp.abs(x.upper)
    return Interval(jnp.where(has_zero, 0, jnp.minimum(low, high)), jnp.maximum(low, high))


def _root(x: Interval, **_) -> Interval:
    # A variance that cannot be negative may have a negative bound.
    lower, upper = increasing(jnp.sqrt, Interval(*(jnp.maximum(end, 0) for end in x)))
    return Interval(jnp.maximum(lower, 0), upper)


def _inverse_root(x: Interval, **_) -> Interval:
    lower, upper = reciprocal(_root(x))
    return outwards(Interval(jnp.maximum(lower, 0), upper), roundings=8)


def _cast(x: Interval, *, new_dtype, **_) -> Interval:
    if not jnp.issubdtype(new_dtype, jnp.floating):
        raise InputError(f"Bounds can only be carried through floating-point numbers, not {new_dtype}.")
    ends = Interval(*(end.astype(new_dtype) for end in x))
    return ends if new_dtype == x.lower.dtype else outwards(ends)


def _elementwise(rule: Callable[..., Interval]) -> Callable[..., Interval]:
    return lambda *operands, **_: rule(*operands)


RULES: dict[str, Callable[..., Interval]] = {
    "add": _elementwise(add),
    "sub": _elementwise(subtract),
    "mul": _elementwise(multiply),
    "div": _elementwise(divide),
    "neg": _elementwise(negate),
    "max": _elementwise(maximum),
    "min": _elementwise(minimum),
    "clamp": lambda low, x, high, **_: minimum(maximum(x, low), high),
    "square": _elementwise(square),
    "integer_pow": _power,
    "abs": _absolute,
    "sqrt": _root,
    "rsqrt": _inverse_root,
    "exp": lambda x, **_: increasing(jnp.exp, x),
    "log": lambda x, **_: increasing(jnp.log, x),
    "log1p": lambda x, **_: increasing(jnp.log1p, x),
    "tanh": lambda x, **_: increasing(jnp.tanh, x),
    "logistic": lambda x, **_: increasing(jax.nn.sigmoid, x),
    "erf": lambda x, **_: increasing(jax.lax.erf, x),
    "reduce_sum": _sum,
    "reduce_window_sum": _window_sum,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "select_n": _select,
    "convert_element_type": _cast,
}
# Operations that move numbers about or pick the largest: each bound goes its own way.
REARRANGEMENTS = {
    *("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "concatenate", "pad", "rev", "copy"),
    *("reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min"),
}
CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat2", "checkpoint"}
