"""Random perturbations of parameters: what devices, converters and time do to them.

Each is a frozen dataclass with one method, ``perturb(key, parameters)``, a pure function on any tree of
floating-point arrays; ``perturbed_accuracies`` takes that method. Numbers are leaves of the settings' tree,
so that another level compiles nothing and a list of levels can be an axis; each may be one number for all
parameters or a tree like the parameters with one number a leaf (``path_rules.assign`` makes such trees).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.path_rules import matching
from jaxrobust.trees import (
    Parameters,
    PerLeaf,
    check_numbers,
    for_every_leaf,
    map_with_keys,
    normal_like,
    settings_tree,
    static,
)

Range = Literal["absolute_maximum", "half_width"]


@runtime_checkable
class Perturbation(Protocol):
    """What every perturbation offers: the same key gives the same device, whatever else is computed."""

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """The parameters of one device, of the same structure, shapes and dtypes."""
        ...


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
    return jax.tree.map(
        lambda p, n, s: p + p * (s * n).astype(p.dtype), parameters, normal_like(key, parameters), levels
    )


@settings_tree
@dataclass(frozen=True)
class GaussianMismatch:
    """Every parameter deviates in proportion to its own size: ``theta (1 + level N(0, 1))`` (equation 1).

    The mode ``"ind"`` of the published phase-change-memory experiments is the same.

    Attributes:
        level: Relative standard deviation, zeta in the paper.
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
    """

    level: PerLeaf

    def __post_init__(self):
        check_numbers(self, "level")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""
        levels = for_every_leaf(self.level, parameters, "level")
        return jax.tree.map(
            lambda p, n, level: p * jnp.exp(level * n).astype(p.dtype),
            parameters,
            normal_like(key, parameters),
            levels,
        )


@settings_tree
@dataclass(frozen=True)
class AdditiveGaussian:
    """Noise of one absolute size: ``theta + std N(0, 1)``, whatever ``theta`` is.

    Attributes:
        std: Standard deviation, in the unit of the parameters.
    """

    std: PerLeaf

    def __post_init__(self):
        check_numbers(self, "std")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""
        stds = for_every_leaf(self.std, parameters, "std")
        return jax.tree.map(
            lambda p, n, std: p + (std * n).astype(p.dtype), parameters, normal_like(key, parameters), stds
        )


@settings_tree
@dataclass(frozen=True)
class AdditiveUniform:
    """Noise of one absolute size: ``theta + U(-size, size)`` (figure S4, there with size 0.2).

    Attributes:
        size: Largest deviation, in the unit of the parameters.
    """

    __key_name__ = "jaxrobust.robustness.perturbations:AdditiveUniform"

    size: PerLeaf

    def __post_init__(self):
        check_numbers(self, "size")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device."""

        def leaf(k: Array, p: Array, size: Array) -> Array:
            return p + (size * jax.random.uniform(k, p.shape, p.dtype, -1, 1)).astype(p.dtype)

        return map_with_keys(leaf, key, parameters, for_every_leaf(self.size, parameters, "size"))


@settings_tree
@dataclass(frozen=True)
class WeightRangeNoise:
    """Noise in proportion to the range of each tensor: ``theta + level range(theta) N(0, 1)``.

    Attributes:
        level: eta, relative to the range.
        of: What the range is: ``"absolute_maximum"`` for ``max |theta|``, the published ``"range"`` mode, or
            ``"half_width"`` for ``(max - min) / 2``, its other version.
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
            width = jnp.max(jnp.abs(p)) if self.of == "absolute_maximum" else (jnp.max(p) - jnp.min(p)) / 2
            return p + (level * width * n).astype(p.dtype)

        levels = for_every_leaf(self.level, parameters, "level")
        return jax.tree.map(leaf, parameters, normal_like(key, parameters), levels)


# By the names of the published settings.
NOISE_MODES: dict[str, Callable[[PerLeaf], Perturbation]] = {
    "ind": GaussianMismatch,
    "range": WeightRangeNoise,
}


@settings_tree
@dataclass(frozen=True)
class Selected:
    """Another perturbation, of some tensors only.

    Attributes:
        perturbation: What is done to the selected tensors.
        where: Tree like the parameters, true where a tensor is perturbed;
            ``path_rules.assign(rules, parameters)`` makes one.
    """

    perturbation: Perturbation
    where: PerLeaf

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; the draws of the selected tensors do not depend on the selection."""
        where = for_every_leaf(self.where, parameters, "where")
        perturbed = self.perturbation.perturb(key, parameters)
        return jax.tree.map(jnp.where, where, perturbed, parameters)


@settings_tree
@dataclass(frozen=True)
class Matching:
    """Another perturbation, of the tensors whose names match.

    Attributes:
        perturbation: What is done to these tensors.
        pattern: Regular expression for the whole path of a tensor, such as ``"w_.*"`` or, for all but batch
            normalisation, ``"(?!.*bn).*"``.
    """

    __key_name__ = "jaxrobust.robustness.perturbations:Matching"

    perturbation: Perturbation
    pattern: str = static()

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; the draws of the matching tensors do not depend on the pattern.

        Raises:
            InputError: The pattern cannot be read or matches no tensor.
        """
        where = matching([self.pattern], parameters)
        return Selected(self.perturbation, where).perturb(key, parameters)


@settings_tree
@dataclass(frozen=True)
class Chain:
    """Several perturbations, one after the other, such as quantization and then mismatch.

    Attributes:
        perturbations: In the order in which they happen.
    """

    perturbations: tuple[Perturbation, ...]

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Draw one device; each perturbation has a key of its own."""
        for index, perturbation in enumerate(self.perturbations):
            parameters = perturbation.perturb(jax.random.fold_in(key, index), parameters)
        return parameters
