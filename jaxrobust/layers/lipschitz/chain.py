"""Layers combined: one after the other, side by side, around a shortcut, and what scales or resizes."""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images
from jaxrobust.layers.lipschitz.bounds import Bound, Shape, bound_of

Samples = Float[Array, "batch ..."]


class Chain(nn.Module):
    """Layers one after the other; the bound is the product of theirs.

    Any module may stand in it, with or without the argument ``training``; only modules that state their
    bound can be certified. A layer made with ``name="conv1"`` has its parameters and position under it.

    Attributes:
        layers: The modules.
    """

    preserve_adopted_names: ClassVar[bool] = True  # Linen would otherwise call them layers_0, layers_1, …

    layers: tuple[nn.Module, ...]

    def __call__(self, x: Samples, training: bool = False) -> Samples:
        """Apply all layers."""
        for layer in self.layers:
            x = call_layer(layer, x, training)
        return x

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The product of the layers' constants."""
        total = Bound(1.0, tuple(shape), True, n_operations=0)
        for index, layer in enumerate(self.layers):
            name = layer.name or f"layers_{index}"
            total = total.then(bound_of(layer, parameters.get(name, {}), total.shape))
        return total


class Parallel(nn.Module):
    """Layers side by side, each on an equal part of the channels, as in grouped convolutions.

    The bound is the largest of theirs: parts of the input reach parts of the output.

    Attributes:
        layers: One module per part.
    """

    preserve_adopted_names: ClassVar[bool] = True  # Linen would otherwise call them layers_0, layers_1, …

    layers: tuple[nn.Module, ...]

    def __call__(self, x: Samples, training: bool = False) -> Samples:
        """Apply each layer to its part."""
        self._check(x.shape)
        parts = jnp.split(x, len(self.layers), axis=-1)
        outputs = [call_layer(layer, p, training) for layer, p in zip(self.layers, parts, strict=True)]
        return jnp.concatenate(outputs, axis=-1)

    @nn.nowrap
    def _check(self, shape: Shape) -> None:
        if shape[-1] % len(self.layers):
            raise InputError(f"{shape[-1]} channels cannot be divided among {len(self.layers)} layers.")

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The largest constant."""
        self._check(shape)
        part = (*shape[:-1], shape[-1] // len(self.layers))
        bounds = [
            bound_of(layer, parameters.get(layer.name or f"layers_{i}", {}), part)
            for i, layer in enumerate(self.layers)
        ]
        return Bound(
            max(bound.constant for bound in bounds),
            (*bounds[0].shape[:-1], sum(bound.shape[-1] for bound in bounds)),
            all(bound.preserves_gradient for bound in bounds),
            math.hypot(*(bound.offset for bound in bounds)),
            max(bound.n_operations for bound in bounds),
        )


class Residual(nn.Module):
    """``(1 - weight) x + weight layer(x)``, of constant ``1 - weight + weight L`` (Béthune et al. 2022).

    Attributes:
        layer: The module; its outputs have the shape of its inputs.
        weight: Share of the layer between 0 and 1.
    """

    preserve_adopted_names: ClassVar[bool] = True

    layer: nn.Module
    weight: float = 0.5

    def __call__(self, x: Samples, training: bool = False) -> Samples:
        """Add."""
        return (1 - self.weight) * x + self.weight * call_layer(self.layer, x, training)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """A convex combination of 1 and the layer's constant."""
        if not 0 <= self.weight <= 1:
            raise InputError(f"The weight of a residual layer lies between 0 and 1, not at {self.weight!r}.")
        inner = bound_of(self.layer, parameters.get(self.layer.name or "layer", {}), shape)
        constant = 1 - self.weight + self.weight * inner.constant
        return inner._replace(
            constant=constant, preserves_gradient=False, offset=self.weight * inner.offset, shape=tuple(shape)
        )


class Scale(nn.Module):
    """Multiply by a constant.

    Attributes:
        factor: The constant.
    """

    factor: float

    def __call__(self, x: Samples) -> Samples:
        """Multiply."""
        return self.factor * x

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """Exactly the factor."""
        del parameters
        return Bound(abs(self.factor), tuple(shape), abs(self.factor) == 1)


class Upsample(nn.Module):
    """Repeat every pixel in a square (nearest neighbor), which multiplies distances by its width.

    Attributes:
        factor: Width of the square.
    """

    factor: int = 2

    def __call__(self, x: Images) -> Images:
        """Repeat the pixels."""
        return jnp.repeat(jnp.repeat(x, self.factor, axis=1), self.factor, axis=2)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """Exactly the factor."""
        del parameters
        height, width, channels = shape
        return Bound(
            float(self.factor), (height * self.factor, width * self.factor, channels), self.factor == 1
        )


class Flatten(nn.Module):
    """One vector per sample, in the order height, width, channels."""

    def __call__(self, x: Samples) -> Float[Array, "batch features"]:
        """Reshape."""
        return x.reshape(x.shape[0], -1)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """An isometry."""
        del parameters
        return Bound(1.0, (math.prod(shape),), True, n_operations=0)


class Pointwise(nn.Module):
    """A function of single numbers whose slope you know, such as ``Pointwise(nn.tanh, 1.0)``.

    Attributes:
        function: The function.
        slope: The largest absolute slope.
    """

    function: Callable[[Samples], Samples]
    slope: float

    def __call__(self, x: Samples) -> Samples:
        """Apply the function."""
        return self.function(x)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The largest slope; the value at zero is an offset of every element."""
        del parameters
        at_zero = abs(float(self.function(jnp.zeros(()))))
        return Bound(self.slope, tuple(shape), offset=at_zero * math.prod(shape) ** 0.5)


def call_layer(layer: nn.Module, x: Samples, training: bool) -> Samples:
    """Call a layer, with ``training`` if it takes it."""
    return layer(x, training=training) if _takes_training(type(layer)) else layer(x)  # pyright: ignore


@lru_cache(maxsize=256)
def _takes_training(kind: type[nn.Module]) -> bool:
    return "training" in inspect.signature(kind.__call__).parameters
