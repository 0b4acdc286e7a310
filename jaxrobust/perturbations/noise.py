"""Noise of parameters, inputs and activations: added, multiplied, or both, executed once or several times.

With independent ``z ~ N(0, 1)`` for every element, the operators of Borras, Klein and Fröning (arXiv
2212.10430, "Walking Noise") are::

    additive             x + m + s z
    multiplicative       x (m + s z)
    multiply, then add   x (m1 + s1 z1) + m2 + s2 z2
    add, then multiply   (x + m2 + s2 z2) (m1 + s1 z1)

Averaging ``n`` executions of the first three is one execution with ``s / sqrt(n)``, exactly. In the last the
average contains the mean of ``n`` products ``z1 z2``. The part of it along the two averages is their product;
the rest has mean 0, is uncorrelated with everything else, and has the variance ``1/n - 1/n^2``: it takes one
more draw, ``s1 s2 sqrt(1/n - 1/n^2) z``. Mean and all second moments are exact; a Gaussian ``z`` has less
excess kurtosis than the rest of ``n - 1`` products, ``6 / (n - 1)``.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.perturbations.perturbation import Tree
from jaxrobust.trees import (
    Number,
    Parameters,
    PerLeaf,
    check_numbers,
    check_range,
    for_every_leaf,
    map_with_keys,
    normal_like,
    settings_tree,
    static,
)

Order = Literal["multiply_then_add", "add_then_multiply"]
_LOWEST = float(jnp.finfo(jnp.float32).min)


def _scaled(std: Array, x: Array, n_executions: Number, normalize: bool) -> Array:
    """The standard deviation of the mean of ``n_executions`` draws for the leaf ``x``."""
    std = std / jnp.sqrt(n_executions)
    return std / (x.size // x.shape[0]) if normalize and x.ndim and x.size else std


@settings_tree
@dataclass(frozen=True)
class AdditiveNoise:
    """Noise of one absolute size: ``x + mean + std N(0, 1)``, whatever ``x`` is.

    Attributes:
        std: Standard deviation, in the unit of ``x``.
        mean: Mean of the noise.
        n_executions: Number of executions whose results are averaged, at least 1.
        normalize: Whether ``std`` is divided by the number of elements per sample (the product of all axes
            but the first), as ``normalize_to_input_size`` does in the published settings.

    Raises:
        InputError: A standard deviation is negative, a number is not finite, or there is less than one
            execution.

    Example:
        >>> AdditiveNoise(0.3).perturb(jax.random.key(0), jnp.zeros((100, 5))).shape
        (100, 5)
    """

    std: PerLeaf
    mean: PerLeaf = 0.0
    n_executions: Number = 1
    normalize: bool = static(default=False)

    def __post_init__(self):
        check_numbers(self, "std")
        check_numbers(self, "mean", minimum=_LOWEST)
        check_numbers(self, "n_executions", minimum=1)

    def perturb(self, key: Array, tree: Tree) -> Tree:
        """Draw the mean of the executions; the derivative with respect to ``x`` is 1."""

        def leaf(x: Array, z: Array, std: Array, mean: Array) -> Array:
            return x + (mean + _scaled(std, x, self.n_executions, self.normalize) * z).astype(x.dtype)

        return jax.tree.map(
            leaf,
            tree,
            normal_like(key, tree),
            for_every_leaf(self.std, tree, "std"),
            for_every_leaf(self.mean, tree, "mean"),
        )


@settings_tree
@dataclass(frozen=True)
class MultiplicativeNoise:
    """Noise in proportion to ``x``: ``x (mean + std N(0, 1))``.

    For parameters ``mismatch.GaussianMismatch`` is the same distribution at a mean of 1.

    Attributes:
        std: Standard deviation relative to ``x``.
        mean: Mean factor.
        n_executions: Number of executions whose results are averaged, at least 1.
        normalize: Whether ``std`` is divided by the number of elements per sample.

    Raises:
        InputError: A standard deviation is negative, a number is not finite, or there is less than one
            execution.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> print(jr.MultiplicativeNoise(0.3).perturb(jax.random.key(0), jnp.zeros(2)))
        [0. 0.]
    """

    std: PerLeaf
    mean: PerLeaf = 1.0
    n_executions: Number = 1
    normalize: bool = static(default=False)

    def __post_init__(self):
        check_numbers(self, "std")
        check_numbers(self, "mean", minimum=_LOWEST)
        check_numbers(self, "n_executions", minimum=1)

    def perturb(self, key: Array, tree: Tree) -> Tree:
        """Draw the mean of the executions; the derivative with respect to ``x`` is the factor drawn."""

        def leaf(x: Array, z: Array, std: Array, mean: Array) -> Array:
            return x * (mean + _scaled(std, x, self.n_executions, self.normalize) * z).astype(x.dtype)

        return jax.tree.map(
            leaf,
            tree,
            normal_like(key, tree),
            for_every_leaf(self.std, tree, "std"),
            for_every_leaf(self.mean, tree, "mean"),
        )


@settings_tree
@dataclass(frozen=True)
class CombinedNoise:
    """Multiplicative and additive noise, in one of two orders.

    Attributes:
        std_add: Standard deviation of the additive part, in the unit of ``x``.
        std_mul: Standard deviation of the multiplicative part, relative.
        order: ``"multiply_then_add"`` or ``"add_then_multiply"``.
        mean_add: Mean of the additive part.
        mean_mul: Mean of the multiplicative part.
        n_executions: Number of executions whose results are averaged, at least 1.
        normalize: Whether both standard deviations are divided by the number of elements per sample.
    """

    std_add: PerLeaf
    std_mul: PerLeaf
    order: Order = static(default="multiply_then_add")
    mean_add: PerLeaf = 0.0
    mean_mul: PerLeaf = 1.0
    n_executions: Number = 1
    normalize: bool = static(default=False)

    def __post_init__(self):
        if self.order not in get_args(Order):
            raise InputError(f"order must be one of {', '.join(get_args(Order))}, not {self.order!r}.")
        check_numbers(self, "std_add", "std_mul")
        check_numbers(self, "mean_add", "mean_mul", minimum=_LOWEST)
        check_numbers(self, "n_executions", minimum=1)

    @classmethod
    def of_amplitude(
        cls, amplitude: Number, ratio: Number, order: Order = "multiply_then_add", **settings
    ) -> "CombinedNoise":
        """Share one amplitude: ``std_add = amplitude ratio``, ``std_mul = amplitude (1 - ratio)``.

        Example:
            >>> noise = CombinedNoise.of_amplitude(2.0, 0.25)
            >>> noise.std_add, noise.std_mul
            (0.5, 1.5)
        """
        check_range(ratio, "ratio of CombinedNoise", maximum=1)
        return cls(amplitude * ratio, amplitude * (1 - ratio), order, **settings)

    def perturb(self, key: Array, tree: Tree) -> Tree:
        """Draw the mean of the executions."""
        key_add, key_mul, key_product = jax.random.split(key, 3)
        numbers = [
            for_every_leaf(getattr(self, name), tree, name)
            for name in ("std_add", "std_mul", "mean_add", "mean_mul")
        ]
        additive, factor = normal_like(key_add, tree), normal_like(key_mul, tree)
        if self.order == "multiply_then_add":
            return jax.tree.map(self._multiply_then_add, tree, additive, factor, *numbers)
        product = normal_like(key_product, tree)
        return jax.tree.map(self._add_then_multiply, tree, additive, factor, *numbers, product)

    def _multiply_then_add(self, x, z_add, z_mul, std_add, std_mul, mean_add, mean_mul) -> Array:
        factor = mean_mul + _scaled(std_mul, x, self.n_executions, self.normalize) * z_mul
        added = mean_add + _scaled(std_add, x, self.n_executions, self.normalize) * z_add
        return x * factor.astype(x.dtype) + added.astype(x.dtype)

    def _add_then_multiply(self, x, z_add, z_mul, std_add, std_mul, mean_add, mean_mul, z_product) -> Array:
        std_add, std_mul = (_scaled(std, x, self.n_executions, self.normalize) for std in (std_add, std_mul))
        factor = (mean_mul + std_mul * z_mul).astype(x.dtype)
        added = (mean_add + std_add * z_add).astype(x.dtype)
        # Both are divided by sqrt(n) already, and sqrt(1/n - 1/n^2) = sqrt(n - 1) / n.
        rest = std_add * std_mul * jnp.sqrt(jnp.asarray(self.n_executions) - 1) * z_product
        return (x + added) * factor + rest.astype(x.dtype)


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
