"""Activations that permute values, so that gradients keep their norm: GroupSort and MaxMin; and ReLU."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz.bounds import Bound, Shape

Features = Float[Array, "*batch channels"]


def max_min(x: Features) -> Features:
    """Return the larger of channels i and ``i + C / 2`` in the first half, the smaller in the second.

    Example:
        >>> max_min(jnp.array([1.0, 5.0, 3.0, 2.0]))
        Array([3., 5., 1., 2.], dtype=float32)
    """
    _check_groups(x.shape[-1], 2)
    one, other = jnp.split(x, 2, axis=-1)
    # Selected, not jnp.maximum: at ties its gradient is halved, and no longer a permutation.
    is_first = one >= other
    return jnp.concatenate([jnp.where(is_first, one, other), jnp.where(is_first, other, one)], axis=-1)


def group_sort(x: Features, group_size: int) -> Features:
    """Sort groups of channels in ascending order (Anil et al. 2019).

    A group consists of channels ``C / group_size`` apart, as published.

    Example:
        >>> group_sort(jnp.array([1.0, 5.0, 3.0, 2.0]), 2)
        Array([1., 2., 3., 5.], dtype=float32)
    """
    _check_groups(x.shape[-1], group_size)
    groups = x.reshape(*x.shape[:-1], group_size, -1)
    return jnp.sort(groups, axis=-2).reshape(x.shape)


def _check_groups(n_channels: int, group_size: int) -> None:
    if group_size < 1 or n_channels % group_size:
        raise InputError(
            f"{n_channels} channels cannot be sorted in groups of {group_size}; make their number a multiple."
        )


class MaxMin(nn.Module):
    """GroupSort in pairs, the larger value first, as published."""

    def __call__(self, x: Features) -> Features:
        """Sort."""
        return max_min(x)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The Jacobian is a permutation."""
        del parameters
        _check_groups(shape[-1], 2)
        return Bound(1.0, tuple(shape), True)


class GroupSort(nn.Module):
    """Sort groups of channels.

    Attributes:
        group_size: Channels per group; None for all of them.
    """

    group_size: int | None = 2

    def __call__(self, x: Features) -> Features:
        """Sort."""
        return group_sort(x, x.shape[-1] if self.group_size is None else self.group_size)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The Jacobian is a permutation."""
        del parameters
        _check_groups(shape[-1], shape[-1] if self.group_size is None else self.group_size)
        return Bound(1.0, tuple(shape), True)


class ReLU(nn.Module):
    """The rectified linear unit: of constant 1, and gradients shrink."""

    def __call__(self, x: Features) -> Features:
        """Rectify."""
        return jax.nn.relu(x)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """1, not gradient-norm preserving."""
        del parameters
        return Bound(1.0, tuple(shape))
