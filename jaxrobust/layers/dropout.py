"""Dropout: which units a network goes without in a training step."""

from typing import Literal

import jax
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from jaxrobust.errors import InputError

DropoutMask = Literal["rescaled", "published"]


def check_dropout(rate: float, mask: str) -> None:
    """Raise ``InputError`` for a rate outside [0, 1) or a kind of mask that does not exist."""
    if not 0 <= rate < 1:
        raise InputError(f"A dropout rate must be at least 0 and less than 1, not {rate!r}.")
    if mask not in ("rescaled", "published"):
        raise InputError(f'The dropout mask is "rescaled" or "published", not {mask!r}.')


def kept(key: Array | None, rate: float, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "..."]:
    """Ones for the units that stay, zeros for those that are dropped, each with probability ``rate``.

    Raises:
        InputError: There is no key.
    """
    if key is None:
        raise InputError("Training with dropout draws a mask: pass key=jax.random.key(...) to forward.")
    return jax.random.bernoulli(key, 1 - rate, shape).astype(dtype)


def dropout(
    x: Float[Array, "batch units"], key: Array | None, *, rate: float, mask: DropoutMask
) -> Float[Array, "batch units"]:
    """Drop units of a layer.

    Args:
        x: The units' values.
        key: PRNG key of the mask.
        rate: Probability of each unit to be dropped.
        mask: ``"rescaled"`` draws a mask for every sample and multiplies what stays by ``1 / (1 - rate)``, so
            that the mean is that of a test; ``"published"`` draws one mask for all samples and multiplies by
            nothing.
    """
    if mask == "published":
        return x * kept(key, rate, x.shape[-1:], x.dtype)
    return x * kept(key, rate, x.shape, x.dtype) / (1 - rate)
