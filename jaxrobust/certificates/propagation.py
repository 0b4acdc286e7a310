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
from jaxtyping import Float, Int, PyTree

from jaxrobust.certificates.comparisons import (
    equal,
    invert,
    is_nan,
    less,
    less_or_equal,
    of_truth_values,
    select,
)
from jaxrobust.certificates.intervals import (
    Interval,
    Operand,
    add,
    as_interval,
    bilinear,
    check_product_precision,
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
    unbounded_unless_finite,
)
from jaxrobust.certificates.margins import margins_of_logits, margins_of_readout
from jaxrobust.errors import InputError
from jaxrobust.losses import Apply
from jaxrobust.trees import check_finite

HIGHEST = jax.lax.Precision.HIGHEST


def output_bounds(apply: Apply, box: Interval, inputs: PyTree[Array]) -> Interval:
    """Bounds on ``apply(parameters, inputs)`` for all parameters in a box; -inf and inf where there are none.

    Sound for every network made of the operations below, tight for none with more than one layer: each
    operation forgets how its operands depend on each other.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, made of linear maps, convolutions, pooling,
            elementwise functions that grow with their argument, sums, products, quotients, comparisons and
            ``jnp.where``.
        box: Two trees of parameters, ``verification.box_around`` makes them.
        inputs: One batch, exactly known.

    Returns:
        Lower and upper bounds of the shape of the output.

    Raises:
        InputError: ``apply`` contains an operation without a rule, or one in reduced precision; or the inputs
            are not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> box = jr.box_around({"w": jnp.eye(2)}, relative_size=0.1)
        >>> bounds = jr.output_bounds(lambda p, x: jax.nn.relu(x @ p["w"]), box, jnp.array([[1.0, 2.0]]))
        >>> print(bounds.lower < jnp.array([[0.901, 1.801]]), bounds.upper > jnp.array([[1.099, 2.199]]))
        [[ True  True]] [[ True  True]]
    """
    program, arguments = _traced(apply, box, inputs)
    values = _evaluate(program.jaxpr, program.consts, arguments)
    return unbounded_unless_finite(as_interval(values(program.jaxpr.outvars[0])))


def output_margins(
    apply: Apply, box: Interval, inputs: PyTree[Array], labels: Int[Array, " batch"]
) -> Float[Array, "batch classes"]:
    """Lower bounds of the label's logit minus every other one, for all parameters in a box.

    Where ``apply`` ends in a matrix product and the addition of biases, these are bounds of the margin as one
    row of weights (``margins``), tighter than the difference of two bounds of logits; else that difference.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, as in ``output_bounds``.
        box: Two trees of parameters.
        inputs: One batch, exactly known.
        labels: Their classes.
    """
    program, arguments = _traced(apply, box, inputs)
    values = _evaluate(program.jaxpr, program.consts, arguments)
    of_logits = margins_of_logits(
        unbounded_unless_finite(as_interval(values(program.jaxpr.outvars[0]))), labels
    )
    readout: tuple[Any, Any, Any] | None = _readout(program.jaxpr)
    if readout is None:
        return of_logits
    features, weights, biases = (None if variable is None else values(variable) for variable in readout)
    assert features is not None
    assert weights is not None
    if biases is not None:  # broadcast over the batch
        biases = Interval(*(end.reshape(-1, end.shape[-1])[0] for end in as_interval(biases)))
    return jnp.maximum(of_logits, margins_of_readout(features, weights, biases, labels))


def _traced(apply: Apply, box: Interval, inputs: PyTree[Array]) -> tuple[ClosedJaxpr, list[Operand]]:
    check_finite(inputs, "The inputs of a verification")
    program = jax.make_jaxpr(apply)(box.lower, inputs)
    ranges = [Interval(a, b) for a, b in zip(*map(jax.tree.leaves, box), strict=True)]
    return program, [*ranges, *jax.tree.leaves(inputs)]


def _readout(program: Any) -> tuple[Any, Any, Any] | None:
    """The variables ``h``, ``w``, ``b`` (or None) of a program that ends in ``h @ w + b``, or else None."""
    made_by = {variable: equation for equation in program.eqns for variable in equation.outvars}
    last, biases = made_by.get(program.outvars[0]), None
    if last is not None and last.primitive.name == "add":
        one, other = (None if isinstance(v, Literal) else made_by.get(v) for v in last.invars)
        for product, added, variable in ((one, other, last.invars[1]), (other, one, last.invars[0])):
            if product is None or added is None or product.primitive.name != "dot_general":
                continue
            if added.primitive.name in ("broadcast_in_dim", "reshape") and _is_row(added):
                last, biases = product, variable
                break
    if last is None or last.primitive.name != "dot_general":
        return None
    is_plain = last.params["dimension_numbers"] == (((1,), (0,)), ((), ()))
    return (*last.invars, biases) if is_plain and last.invars[0].aval.ndim == 2 else None


def _is_row(equation: Any) -> bool:
    """Whether an array ``(classes,)`` is given an axis for the batch."""
    (source,), shape = equation.invars[:1], equation.outvars[0].aval.shape
    dimensions = equation.params.get("broadcast_dimensions")
    source_shape = source.aval.shape
    is_row = source_shape in ((shape[-1],), (1, shape[-1]))
    return is_row and (dimensions is None or dimensions[-1] == len(shape) - 1)


def _evaluate(
    program: Jaxpr, constants: Sequence[Any], arguments: Sequence[Operand]
) -> Callable[[Any], Operand]:
    """Give every variable of a program its interval; the result reads them."""
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
            body = inner.jaxpr if closed else inner
            read_inner = _evaluate(body, inner.consts if closed else [], operands)
            results = [read_inner(variable) for variable in body.outvars]
        elif not any(isinstance(operand, Interval) for operand in operands):
            results = equation.primitive.bind(*operands, **how)
            results = results if equation.primitive.multiple_results else [results]
        elif name == "mul" and equation.invars[0] is equation.invars[1]:
            results = [square(as_interval(operands[0]))]
        elif name == "ne" and equation.invars[0] is equation.invars[1]:
            results = [is_nan(operands[0])]
        elif name in RULES:
            results = [RULES[name](*operands, **how)]
        elif name in EXTREMES:
            ends = as_interval(operands[0])
            results = [Interval(*(_extreme(partial(equation.primitive.bind, **how), name, e) for e in ends))]
        elif name in REARRANGEMENTS:
            bind = partial(equation.primitive.bind, **how)
            ends = zip(*map(as_interval, operands), strict=True)
            results = [Interval(*(bind(*end) for end in ends))]
        elif name in PICKS and not any(isinstance(operand, Interval) for operand in operands[1:]):
            results = [Interval(*(equation.primitive.bind(end, *operands[1:], **how) for end in operands[0]))]
        else:
            raise InputError(
                f"Bounds cannot be carried through the operation {name!r}: there is no interval rule for it. "
                f"Write the network with other operations, or add a rule to propagation.RULES."
            )
        values |= dict(zip(equation.outvars, results, strict=True))
    return read


def _extreme(pick: Callable[[Array], Array], name: str, end: Array) -> Array:
    """Return the picked bound, and NaN where any candidate is NaN: on a CPU, XLA's maximum ignores NaN."""
    if not jnp.issubdtype(end.dtype, jnp.floating):
        return pick(end)
    marks = jnp.where(jnp.isnan(end), EXTREMES[name], 0).astype(end.dtype)
    return jnp.where(pick(marks) == EXTREMES[name], jnp.nan, pick(end))


def _dot(x: Operand, w: Operand, *, dimension_numbers, preferred_element_type, precision, **_) -> Interval:
    check_product_precision(precision)
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
    check_product_precision(how["precision"])
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


def _cumulative_sum(x: Interval, *, axis: int, **how) -> Interval:
    add_up = partial(jax.lax.cumsum, axis=axis, reverse=how["reverse"])
    slack = (
        x.lower.shape[axis] * jnp.finfo(x.lower.dtype).eps * add_up(jnp.maximum(abs(x.lower), abs(x.upper)))
    )
    return outwards(Interval(add_up(x.lower), add_up(x.upper)), slack)


def _power(x: Interval, *, y: int, **_) -> Interval:
    if y == 2:
        return square(x)
    if y < 0:
        return reciprocal(_power(x, y=-y))
    if y % 2 == 1:
        return increasing(lambda end: end**y, x, roundings=8 + y)
    lower, upper = increasing(lambda end: end**y, _absolute(x), roundings=8 + y)
    return Interval(jnp.maximum(lower, 0), upper)


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
    if x.lower.dtype == bool:
        return Interval(*(end.astype(new_dtype) for end in x))
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
    "expm1": lambda x, **_: increasing(jnp.expm1, x),
    "exp2": lambda x, **_: increasing(jnp.exp2, x),
    "sinh": lambda x, **_: increasing(jnp.sinh, x),
    "asinh": lambda x, **_: increasing(jnp.arcsinh, x),
    "atan": lambda x, **_: increasing(jnp.arctan, x),
    "cbrt": lambda x, **_: increasing(jnp.cbrt, x),
    "log": lambda x, **_: increasing(jnp.log, x),
    "log1p": lambda x, **_: increasing(jnp.log1p, x),
    "tanh": lambda x, **_: increasing(jnp.tanh, x),
    "logistic": lambda x, **_: increasing(jax.nn.sigmoid, x),
    "erf": lambda x, **_: increasing(jax.lax.erf, x),
    "reduce_sum": _sum,
    "reduce_window_sum": _window_sum,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "cumsum": _cumulative_sum,
    "lt": _elementwise(less),
    "le": _elementwise(less_or_equal),
    "gt": lambda x, y, **_: less(y, x),
    "ge": lambda x, y, **_: less_or_equal(y, x),
    "eq": _elementwise(equal),
    "ne": lambda x, y, **_: invert(equal(x, y)),
    "and": of_truth_values(jnp.logical_and),
    "or": of_truth_values(jnp.logical_or),
    "not": lambda x, **_: invert(of_truth_values(lambda end: end)(x)),
    "select_n": select,
    "convert_element_type": _cast,
}
# Operations that move numbers about or grow in exact steps: each bound goes its own way.
REARRANGEMENTS = {
    *("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "concatenate", "pad", "rev", "copy"),
    *("stop_gradient", "optimization_barrier", "round", "floor", "ceil", "sign"),
}
# Operations that pick the largest or the smallest.
EXTREMES = {"reduce_max": 1, "reduce_window_max": 1, "reduce_min": -1, "reduce_window_min": -1}
# Operations that take some elements of their first operand, at places that are known exactly.
PICKS = {"gather", "dynamic_slice"}
CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat2", "checkpoint"}
