"""Dense and convolutional layers that start as PyTorch's do: uniform within ``1 / sqrt(fan_in)``."""

import math

import jax
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.layers.images import Images, Padding, convolve
from jaxrobust.numerics import of_rank


def uniform_start(key: Array, shape: tuple[int, ...], fan_in: int) -> Float[Array, "..."]:
    """Draw numbers uniformly between ``-1 / sqrt(fan_in)`` and ``1 / sqrt(fan_in)``.

    Example:
        >>> bool(abs(uniform_start(jax.random.key(0), (100,), 25)).max() < 0.2)
        True
    """
    bound = 1 / math.sqrt(fan_in)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Dense(nn.Module):
    """``x kernel + bias``; parameters ``kernel (inputs, features)`` and ``bias (features,)``.

    Attributes:
        features: Units.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch features"]:
        """Compute the layer."""
        fan_in = x.shape[-1]
        kernel = self.param("kernel", uniform_start, (fan_in, self.features), fan_in)
        return x @ kernel + of_rank(self.param("bias", uniform_start, (self.features,), fan_in), x.ndim)


class Convolution(nn.Module):
    """Cross-correlation plus bias; parameters ``kernel (height, width, channels, features)`` and ``bias``.

    Attributes:
        features: Channels of the output.
        size: Height and width of the kernel.
        strides: In height and width.
        padding: Zeros (before, behind) in height and width.
    """

    features: int
    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    @nn.compact
    def __call__(self, x: Images) -> Images:
        """Compute the layer."""
        fan_in = math.prod(self.size) * x.shape[-1]
        kernel = self.param("kernel", uniform_start, (*self.size, x.shape[-1], self.features), fan_in)
        bias = self.param("bias", uniform_start, (self.features,), fan_in)
        return convolve(x, kernel, stride=self.strides, padding=self.padding) + of_rank(bias, 4)
