"""How far two networks give the same answers, from the logits of both."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.criteria import is_answer, is_hit

Logits = Float[Array, "samples classes"]


class HitOverlap(NamedTuple):
    """How many samples both networks, one of them, or neither gets right; they add up to all samples.

    Attributes:
        both: Right in either.
        first: Right in the first alone.
        second: Right in the second alone.
        neither: Wrong in either.
    """

    both: Int[Array, ""]
    first: Int[Array, ""]
    second: Int[Array, ""]
    neither: Int[Array, ""]


def agreement(one: Logits, other: Logits) -> Float[Array, ""]:
    """Compute the share of samples with the same answer; NaN and +inf are no answer, and agree with none.

    Example:
        >>> float(agreement(jnp.eye(4), jnp.eye(4)[:, ::-1]))
        0.0
    """
    return jnp.mean(is_hit(one, jnp.argmax(other, -1)) & is_answer(other))


def hit_overlap(one: Logits, other: Logits, labels: Int[Array, " samples"]) -> HitOverlap:
    """Count right and wrong answers of two networks together; NaN and +inf are wrong."""
    first, second = (is_hit(logits, labels) for logits in (one, other))
    counts = (first & second, first & ~second, ~first & second, ~(first | second))
    return HitOverlap(*(jnp.sum(count) for count in counts))


def cross_entropy_to(logits: Logits, reference: Logits) -> Float[Array, ""]:
    """Compute the mean over samples of ``-sum_c p_reference log p``, in nats.

    The published system also divides by the number of classes.
    """
    return -jnp.mean(jnp.sum(jax.nn.softmax(reference) * jax.nn.log_softmax(logits), axis=-1))
