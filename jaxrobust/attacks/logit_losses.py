"""What attacks on inputs increase: one number per sample, of its logits and label.

All are zero-safe: no NaN at equal logits, and a gradient of 0 where there is none.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.errors import InputError
from jaxrobust.numerics import divide, largest
from jaxrobust.settings import nearest

Logits = Float[Array, "batch classes"]
Labels = Int[Array, " batch"]
PerSample = Float[Array, " batch"]
LogitLoss = Callable[[Logits, Labels, Logits], PerSample]


def cross_entropy(logits: Logits, labels: Labels, nominal: Logits) -> PerSample:
    """Cross-entropy in nats. Its gradient vanishes where the softmax saturates: see ``dlr``."""
    del nominal
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def margin(logits: Logits, labels: Labels, nominal: Logits) -> PerSample:
    """The largest other logit minus that of the label: positive where the answer is wrong."""
    del nominal
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    other = largest(jnp.where(is_label, -jnp.inf, logits), -1)
    return other - jnp.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]


def dlr(logits: Logits, labels: Labels, nominal: Logits) -> PerSample:
    """The margin over the difference of the largest and third largest logit (Croce and Hein 2020, eq. 6).

    It does not change if the logits are scaled or shifted.

    Raises:
        InputError: There are fewer than three classes.
    """
    if logits.shape[-1] < 3:
        raise InputError(
            f"The loss 'dlr' compares three classes, but there are {logits.shape[-1]}: use 'margin'."
        )
    first, _, third = jnp.moveaxis(jax.lax.top_k(logits, 3)[0], -1, 0)
    return divide(margin(logits, labels, nominal), first - third)


def kl(logits: Logits, labels: Labels, nominal: Logits) -> PerSample:
    """Kullback-Leibler divergence of the attacked from the nominal class probabilities, in nats.

    Its gradient at the nominal inputs is 0: it needs a random start.
    """
    del labels
    log_p, log_q = jax.nn.log_softmax(nominal), jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    return jnp.sum(p * jnp.where(p > 0, log_p - log_q, 0), axis=-1)


LOGIT_LOSSES: dict[str, LogitLoss] = {"cross_entropy": cross_entropy, "dlr": dlr, "margin": margin, "kl": kl}


def logit_loss(name: str) -> LogitLoss:
    """Return the loss of a name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in LOGIT_LOSSES:
        raise InputError(
            f"loss of an attack on inputs must be one of {', '.join(LOGIT_LOSSES)}, not {name!r}."
            f"{nearest(name, LOGIT_LOSSES)}"
        )
    return LOGIT_LOSSES[name]
