"""Layers of this library as Flax Linen modules: convolution, batch normalization, parameterized kernels."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.layers.images import convolve, convolve_by_rows, is_faster_by_rows
from jaxrobust.layers.kernels import is_baked, make_kernel
from jaxrobust.layers.normalization import BatchNorm, Moments
from jaxrobust.numerics import of_rank

# The Linen collection in which parameterized kernels are left while a network is baked.
KERNELS = "kernels"


class Normalization(nn.Module):
    """``BatchNorm`` with one scale and one offset per channel.

    Parameters ``scale`` (ones at the start) and ``offset`` (zeros); running statistics ``mean`` and
    ``variance`` in the collection ``batch_stats``.

    Attributes:
        norm: Momentum, epsilon and the kind of variance.
    """

    norm: BatchNorm = BatchNorm()

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"], *, training: bool) -> Float[Array, "..."]:
        """Normalize by the batch in training, by the running statistics otherwise."""
        start = self.norm.init(x.shape[-1])
        mean = self.variable("batch_stats", "mean", lambda: start.mean)
        variance = self.variable("batch_stats", "variance", lambda: start.variance)
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        offset = self.param("offset", nn.initializers.zeros, x.shape[-1:])
        x, new = self.norm(x, Moments(mean.value, variance.value), training=training)
        if training and not self.is_initializing():
            mean.value, variance.value = new
        return x * of_rank(scale, x.ndim) + of_rank(offset, x.ndim)


class Convolution(nn.Module):
    """``convolve`` in the form that is fastest inside the training loop, with a bias if wanted.

    Parameters ``kernel (size, size, channels, features)``, drawn from a normal distribution of variance
    ``2 / (size^2 channels)`` (He et al. 2015), and ``bias (features,)``, zeros at the start.

    Attributes:
        features: Output channels.
        size: Height and width of the kernel.
        stride: Distance of neighboring outputs in pixels.
        padding: Zeros before and behind, in height and width; None for ``size // 2`` on either side.
        use_bias: Whether there is a bias.
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: tuple[int, int] | None = None
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch h w features"]:
        """Convolve every image."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        padding = (self.size // 2, self.size // 2) if self.padding is None else self.padding
        how = convolve_by_rows if is_faster_by_rows(x, kernel, self.stride) else convolve
        x = how(x, kernel, stride=self.stride, padding=(padding, padding))
        if not self.use_bias:
            return x
        return x + of_rank(self.param("bias", nn.initializers.zeros, (self.features,)), 4)


def linen_kernel(
    module: nn.Module,
    name: str,
    init: Callable[[Array], PyTree[Array]],
    make: Callable[[Any], Float[Array, "..."]],
) -> Float[Array, "..."]:
    """Declare a parameterized kernel in a Linen module; ``LinenNetwork.bake`` replaces it by its value.

    Args:
        module: The module, inside its compact ``__call__`` or its ``setup``.
        name: The parameter's name. Its value is a subtree, or the kernel itself once baked.
        init: Draws the subtree from a PRNG key.
        make: Computes the kernel from the subtree.

    Returns:
        The kernel.
    """
    if module.has_variable("params", name) and is_baked(module.get_variable("params", name)):
        # Module.param would refuse it: it compares the value with the shapes that init gives.
        return module.get_variable("params", name)
    kernel = make_kernel(module.param(name, init), make)
    nothing: Any = None  # Linen's default would collect the kernels of several calls in a tuple
    module.sow(KERNELS, name, kernel, init_fn=lambda: nothing, reduce_fn=lambda _, new: new)
    return kernel
