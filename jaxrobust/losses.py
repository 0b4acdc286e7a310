"""How far the logits of an attacked network are from those of the network itself."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.numerics import root
from jaxrobust.trees import Parameters

Logits = Float[Array, "batch classes"]
Apply = Callable[[Parameters, Float[Array, "batch ..."]], Float[Array, "batch classes"]]
Divergence = Callable[[Logits, Logits], Float[Array, ""]]


def _kl_of_log_probabilities(log_p: Logits, log_q: Logits) -> Float[Array, ""]:
    # exp(-inf) * -inf would be NaN; finite logits keep every log-probability finite.
    return jnp.mean(jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1))


def kl(logits: Logits, attacked_logits: Logits) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the attacked from the nominal class probabilities, in nats."""
    return _kl_of_log_probabilities(jax.nn.log_softmax(logits), jax.nn.log_softmax(attacked_logits))


def reverse_kl(logits: Logits, attacked_logits: Logits) -> Float[Array, ""]:
    """Kullback-Leibler divergence with the roles exchanged, in nats."""
    return kl(attacked_logits, logits)


def js(logits: Logits, attacked_logits: Logits) -> Float[Array, ""]:
    """Jensen-Shannon divergence, in nats (at most log 2)."""
    log_p, log_q = jax.nn.log_softmax(logits), jax.nn.log_softmax(attacked_logits)
    log_mean = jnp.logaddexp(log_p, log_q) - jnp.log(2.0).astype(log_p.dtype)
    return (_kl_of_log_probabilities(log_p, log_mean) + _kl_of_log_probabilities(log_q, log_mean)) / 2


def l2(logits: Logits, attacked_logits: Logits) -> Float[Array, ""]:
    """Mean Euclidean distance of the logits; its gradient where they are equal is zero."""
    return jnp.mean(root(jnp.sum((logits - attacked_logits) ** 2, axis=-1)))


DIVERGENCES: dict[str, Divergence] = {"kl": kl, "reverse_kl": reverse_kl, "js": js, "l2": l2}
