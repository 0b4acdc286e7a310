"""How far the logits of an attacked network are from those of the network itself.

Each divergence is a mean over samples, or over those time steps that ``counts`` marks (``counted_steps``).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from jaxrobust.numerics import mean_where, root
from jaxrobust.trees import Parameters

Logits = Float[Array, "batch classes"]
Apply = Callable[[Parameters, Float[Array, "batch ..."]], Float[Array, "batch classes"]]
Counts = Bool[Array, "batch time"] | None
Divergence = Callable[[Logits, Logits, Counts], Float[Array, ""]]


def _kl_of_log_probabilities(log_p: Logits, log_q: Logits, counts: Counts) -> Float[Array, ""]:
    # Masked classes (-inf) have no probability and count as 0, value and gradient, not as 0 times infinity.
    p = jnp.exp(log_p)
    return mean_where(jnp.sum(p * jnp.where(p > 0, log_p - log_q, 0), axis=-1), counts)


def kl(logits: Logits, attacked_logits: Logits, counts: Counts = None) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the attacked from the nominal class probabilities, in nats."""
    log_p, log_q = jax.nn.log_softmax(logits), jax.nn.log_softmax(attacked_logits)
    return _kl_of_log_probabilities(log_p, log_q, counts)


def reverse_kl(logits: Logits, attacked_logits: Logits, counts: Counts = None) -> Float[Array, ""]:
    """Kullback-Leibler divergence with the roles exchanged, in nats."""
    return kl(attacked_logits, logits, counts)


def js(logits: Logits, attacked_logits: Logits, counts: Counts = None) -> Float[Array, ""]:
    """Jensen-Shannon divergence, in nats (at most log 2)."""
    log_p, log_q = jax.nn.log_softmax(logits), jax.nn.log_softmax(attacked_logits)
    # The gradient of log(0 + 0), for a class masked in both, would be NaN; its probabilities leave it out.
    is_masked = jnp.isneginf(log_p) & jnp.isneginf(log_q)
    one, other = (jnp.where(is_masked, 0, these) for these in (log_p, log_q))
    log_mean = jnp.logaddexp(one, other) - jnp.log(2.0).astype(log_p.dtype)
    of_p = _kl_of_log_probabilities(log_p, log_mean, counts)
    return (of_p + _kl_of_log_probabilities(log_q, log_mean, counts)) / 2


def l2(logits: Logits, attacked_logits: Logits, counts: Counts = None) -> Float[Array, ""]:
    """Mean Euclidean distance of the logits; its gradient where they are equal is zero."""
    # Of a class that is masked in both (-inf) the difference would be NaN.
    is_masked = jnp.isneginf(logits) & jnp.isneginf(attacked_logits)
    one, other = (jnp.where(is_masked, 0, these) for these in (logits, attacked_logits))
    return mean_where(root(jnp.sum((one - other) ** 2, axis=-1)), counts)


DIVERGENCES: dict[str, Divergence] = {"kl": kl, "reverse_kl": reverse_kl, "js": js, "l2": l2}
