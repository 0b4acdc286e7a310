"""Mismatch of parameters: deviations in proportion to a parameter's size or to its tensor's range."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.numerics import largest, smallest
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.trees import (
    Parameters,
    PerLeaf,
    check_numbers,
    for_every_leaf,
    map_floats,
    map_with_keys,
    normal_like,
    settings_tree,
    static,
)

Range = Literal["absolute_maximum", "half_width"]


def gaussian_mismatch(key: Array, parameters: Parameters, level: PerLeaf) -> Parameters:
    """Draw one device: every parameter deviates in proportion to its own size.

    ``theta (1 + level * N(0, 1))``, elementwise (equation 1 of the paper).

    Args:
        key: PRNG key of the device.
        parameters: Any tree of floating-point arrays.
        level: Relative standard deviation, zeta in the paper; 0 gives the parameters themselves. One number,
            or a tree like the parameters with one number a leaf.
    """
    levels = for_every_leaf(level, parameters, "The mismatch level")
    return map_floats(
        lambda p, n, s: p + p * (s * n).astype(p.dtype), parameters, normal_like(key, parameters), levels
    )


@settings_tree
@dataclass(frozen=True)
class GaussianMismatch:
    """Every parameter deviates in proportion to its own size: ``theta (1 + level N(0, 1))`` (equation 1).

    The mode ``"ind"`` of the published phase-change-memory experiments is the same.

    Attributes:
        level: Relative standard deviation, zeta in the paper.

    Raises:
        InputError: A level that is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> device = jr.GaussianMismatch(0.1).perturb(jax.random.key(0), {"w": jnp.array([1.0, 0.0])})
        >>> device["w"].shape, float(device["w"][1])
        ((2,), 0.0)
    """

    __key_name__ = "jaxrobust.robustness.perturbations:GaussianMismatch"

    level: PerLeaf

    def __post_init__(self):
        check_numbers(self, "level")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""
        return gaussian_mismatch(key, parameters, self.level)


@settings_tree
@dataclass(frozen=True)
class BoxCorner:
    """A random corner of the attack's box: ``theta + size |theta| s`` with random signs ``s``.

    Attributes:
        size: Half the width of the box relative to each parameter.

    Raises:
        InputError: A size that is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> corner = jr.BoxCorner(0.5).perturb(jax.random.key(0), jnp.full(3, 2.0))
        >>> print(jnp.abs(corner - 2.0))
        [1. 1. 1.]
    """

    size: PerLeaf

    def __post_init__(self):
        check_numbers(self, "size")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one corner."""

        def leaf(k: Array, p: Array, size: Array) -> Array:
            return p + (p * size).astype(p.dtype) * jax.random.rademacher(k, p.shape, p.dtype)

        return map_with_keys(leaf, key, parameters, for_every_leaf(self.size, parameters, "size"))


@settings_tree
@dataclass(frozen=True)
class LogNormalMismatch:
    """Every parameter is multiplied by ``exp(level N(0, 1))``: no parameter changes its sign.

    The median stays what it was; the mean grows by ``exp(level^2 / 2)``.

    Attributes:
        level: Standard deviation of the logarithm; for small levels that of ``GaussianMismatch``.

    Raises:
        InputError: A level that is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> device = jr.LogNormalMismatch(0.1).perturb(jax.random.key(0), {"w": jnp.array([1.0, -1.0])})
        >>> print(jnp.sign(device["w"]))
        [ 1. -1.]
    """

    level: PerLeaf

    def __post_init__(self):
        check_numbers(self, "level")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""
        levels = for_every_leaf(self.level, parameters, "level")
        return map_floats(
            lambda p, n, level: p * jnp.exp(level * n).astype(p.dtype),
            parameters,
            normal_like(key, parameters),
            levels,
        )


@settings_tree
@dataclass(frozen=True)
class WeightRangeNoise:
    """Noise in proportion to the range of each tensor: ``theta + level range(theta) N(0, 1)``.

    Attributes:
        level: eta, relative to the range.
        of: What the range is: ``"absolute_maximum"`` for ``max |theta|``, the published ``"range"`` mode, or
            ``"half_width"`` for ``(max - min) / 2``, its other version.

    Raises:
        InputError: A level that is negative or not finite, or a range that does not exist.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> noisy = jr.WeightRangeNoise(0.1).perturb(jax.random.key(0), {"w": jnp.zeros(2)})
        >>> noisy["w"].shape
        (2,)
    """

    __key_name__ = "jaxrobust.robustness.perturbations:WeightRangeNoise"

    level: PerLeaf
    of: Range = static(default="absolute_maximum")

    def __post_init__(self):
        check_numbers(self, "level")
        if self.of not in get_args(Range):
            raise InputError(f"of must be one of {', '.join(get_args(Range))}, not {self.of!r}.")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""

        def leaf(p: Array, n: Array, level: Array) -> Array:
            # With a weight that is NaN no width is known, and the whole tensor is NaN.
            width = largest(jnp.abs(p)) if self.of == "absolute_maximum" else (largest(p) - smallest(p)) / 2
            return p + (level * width * n).astype(p.dtype)

        levels = for_every_leaf(self.level, parameters, "level")
        return map_floats(leaf, parameters, normal_like(key, parameters), levels)


# By the names of the published settings.
NOISE_MODES: dict[str, Callable[[PerLeaf], Perturbation]] = {
    "ind": GaussianMismatch,
    "range": WeightRangeNoise,
}
