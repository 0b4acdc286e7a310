"""Bounds of margins: how far the label's logit lies above every other one, at least.

Two logits of one network share what the last layer gets, ``h``: their difference is ``h (w_y - w_j) + b_y -
b_j``. Bounded as one row of weights it cannot have its ``h`` low for one logit and high for the other, as two
separate bounds must assume. So ``margin > 0`` proves more than ``lower_y > upper_j``, and never less.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.certificates.intervals import Interval, Operand, as_interval, bilinear, magnitude

_HIGHEST = jax.lax.Precision.HIGHEST


def margins_of_readout(
    features: Operand, weights: Operand, biases: Operand | None, labels: Int[Array, " batch"]
) -> Float[Array, "batch classes"]:
    """Lower bounds of ``logits[y] - logits[j]`` for ``logits = features weights + biases``.

    Rounding of the network's own two sums is included.

    Args:
        features: What the last layer gets, ``(batch, features)``.
        weights: Its weights, ``(features, classes)``.
        biases: Its biases, ``(classes,)``, if any.
        labels: The classes ``y``.

    Returns:
        One bound per class ``j``, ``(batch, classes)``; for the label itself 0 or less, and -inf for what
        has no bound.

    Example:
        >>> rates = Interval(jnp.array([[0.0]]), jnp.array([[1.0]]))
        >>> margins_of_readout(rates, jnp.array([[2.0, 1.0]]), jnp.array([0.5, 0.0]), jnp.array([0])).round(2)
        Array([[-0. ,  0.5]], dtype=float32)
    """
    h, w = as_interval(features), as_interval(weights)
    n_features = w.lower.shape[0]
    lower, upper = jnp.moveaxis(w.lower, 0, -1), jnp.moveaxis(w.upper, 0, -1)  # (classes, features)
    rows = Interval(lower[labels][:, None] - upper, upper[labels][:, None] - lower)  # (batch, classes, ...)
    # Of the subtraction, which rounds as well.
    eps = jnp.finfo(lower.dtype).eps
    slack = eps * (magnitude(w).T[labels][:, None] + magnitude(w).T)
    rows = Interval(rows.lower - slack, rows.upper + slack)

    def product(x: Array, rows: Array) -> Array:
        return jnp.einsum("bf,bcf->bc", x, rows, precision=_HIGHEST)

    margins = bilinear(product, h, rows, n_terms=n_features).lower
    size = jnp.matmul(magnitude(h), magnitude(w), precision=_HIGHEST)
    if biases is not None:
        b = as_interval(biases)
        margins = margins + (b.lower[labels][:, None] - b.upper)
        size = size + magnitude(b)
    own = jnp.take_along_axis(size, labels[:, None], axis=-1)
    margins = margins - (n_features + 6) * eps * (own + size)
    return jnp.where(jnp.isnan(margins), -jnp.inf, margins)


def margins_of_logits(logits: Interval, labels: Int[Array, " batch"]) -> Float[Array, "batch classes"]:
    """Lower bounds of ``logits[y] - logits[j]`` where nothing but bounds of the logits is known."""
    own = jnp.take_along_axis(logits.lower, labels[:, None], axis=-1)
    margins = own - logits.upper
    return jnp.where(jnp.isnan(margins), -jnp.inf, margins)


def verified_by_margins(
    margins: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Bool[Array, " batch"]:
    """Whether every margin but that of the label itself is positive."""
    is_label = jax.nn.one_hot(labels, margins.shape[-1], dtype=bool)
    return jnp.all(is_label | (margins > 0), axis=-1)
