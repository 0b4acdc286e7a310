"""Batch normalisation and the statistics it remembers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

# What a new batch contributes to the running statistics, and what is added to the variance.
NEW_SHARE = 0.1
EPSILON = 1e-5


class Moments(NamedTuple):
    """Mean and variance (biased) of every channel."""

    mean: Float[Array, " channels"]
    variance: Float[Array, " channels"]


def initial_moments(channels: int) -> Moments:
    """Mean 0, variance 1."""
    return Moments(jnp.zeros(channels), jnp.ones(channels))


def moments_of(x: Float[Array, "*batch channels"]) -> Moments:
    """Moments of every channel over the batch (and positions)."""
    axes = tuple(range(x.ndim - 1))
    return Moments(jnp.mean(x, axes), jnp.var(x, axes))


def normalise(x: Float[Array, "*batch channels"], moments: Moments) -> Float[Array, "*batch channels"]:
    """``(x - mean) / sqrt(variance + 1e-5)``."""
    return (x - moments.mean) * jax.lax.rsqrt(moments.variance + EPSILON)


def batch_norm(
    x: Float[Array, "*batch channels"], running: Moments, *, training: bool
) -> tuple[Float[Array, "*batch channels"], Moments]:
    """Normalise by the batch's moments in training, by the running ones otherwise.

    Returns:
        The normalised values, and the running moments after this batch (which carry no gradient).
    """
    if not training:
        return normalise(x, running), running
    batch = moments_of(x)
    new = jax.tree.map(
        lambda old, now: ((1 - NEW_SHARE) * old + NEW_SHARE * now).astype(old.dtype), running, batch
    )
    return normalise(x, batch), jax.lax.stop_gradient(new)
