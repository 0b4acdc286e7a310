"""Batch normalization and its running statistics."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.numerics import of_rank
from jaxrobust.trees import check_numbers

Variance = Literal["biased", "unbiased"]


class Moments(NamedTuple):
    """Mean and variance of every channel."""

    mean: Float[Array, " channels"]
    variance: Float[Array, " channels"]


def moments_of(x: Float[Array, "*batch channels"]) -> Moments:
    """Compute mean and biased variance of every channel over the batch (and pixels)."""
    axes = tuple(range(x.ndim - 1))
    return Moments(jnp.mean(x, axes), jnp.var(x, axes))


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization without scale and offset, as pure functions (Ioffe and Szegedy 2015)::

        y = (x - mean) / sqrt(variance + epsilon)
        running = (1 - momentum) running + momentum batch

    The batch is always normalized by its biased variance; ``variance`` says which one is remembered.

    Attributes:
        momentum: Share of a new batch in the running statistics (the convention of PyTorch; Flax counts the
            share that stays).
        epsilon: Added to the variance.
        variance: Which variance of a batch enters the running one: ``"biased"`` divides by the number of
            values ``n`` per channel, as Flax does, ``"unbiased"`` by ``n - 1``, as PyTorch does. A batch with
            one value per channel has no unbiased variance; 0 is used.

    Example:
        >>> import jax.numpy as jnp
        >>> norm = BatchNorm(variance="unbiased")
        >>> y, running = norm(jnp.array([[1.0], [3.0]]), norm.init(1), training=True)
        >>> print(y[:, 0].round(2), running.variance.round(2))
        [-1.  1.] [1.1]
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    variance: Variance = "biased"

    def __post_init__(self):
        check_numbers(self, "momentum", maximum=1.0)
        check_numbers(self, "epsilon")
        if self.variance not in get_args(Variance):
            raise InputError(f'variance must be "biased" or "unbiased", not {self.variance!r}.')

    def init(self, channels: int) -> Moments:
        """Return mean 0 and variance 1 for every channel."""
        return Moments(jnp.zeros(channels), jnp.ones(channels))

    def normalize(
        self, x: Float[Array, "*batch channels"], moments: Moments
    ) -> Float[Array, "*batch channels"]:
        """Compute ``(x - mean) / sqrt(variance + epsilon)``."""
        mean, variance = (of_rank(moment, x.ndim) for moment in moments)
        return (x - mean) * jax.lax.rsqrt(variance + self.epsilon)

    def __call__(
        self, x: Float[Array, "*batch channels"], running: Moments, *, training: bool
    ) -> tuple[Float[Array, "*batch channels"], Moments]:
        """Normalize by the batch's moments in training, by the running ones otherwise.

        Returns:
            The normalized values, and the running moments after this batch (which carry no gradient).
        """
        if not training:
            return self.normalize(x, running), running
        batch = moments_of(x)
        new = jax.tree.map(
            lambda old, now: ((1 - self.momentum) * old + self.momentum * now).astype(old.dtype),
            running,
            self._remembered(batch, x),
        )
        return self.normalize(x, batch), jax.lax.stop_gradient(new)

    def _remembered(self, batch: Moments, x: Float[Array, "*batch channels"]) -> Moments:
        if self.variance == "biased":
            return batch
        n = x.size // x.shape[-1]
        return batch._replace(variance=batch.variance * (n / max(n - 1, 1)))
