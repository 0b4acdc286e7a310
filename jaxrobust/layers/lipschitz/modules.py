"""Convolutional and dense layers with a bounded Lipschitz constant, as Flax Linen modules."""

import math
from typing import Any, Literal

import jax
import numpy as np
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.factorizations import orthogonal
from jaxrobust.layers.images import Images
from jaxrobust.layers.kernels import is_baked
from jaxrobust.layers.linen import linen_kernel
from jaxrobust.layers.lipschitz.block_convolution import strided_channels, strided_kernel
from jaxrobust.layers.lipschitz.bounds import Bound, Shape
from jaxrobust.layers.lipschitz.circular import Padding, check_padding, pad_and_convolve
from jaxrobust.layers.lipschitz.parameterizations import BCOP, KernelShape, Parameterization
from jaxrobust.layers.lipschitz.polar import orthogonalize
from jaxrobust.layers.lipschitz.pooling import check_divides, space_to_depth
from jaxrobust.layers.lipschitz.spectrum import check_kernel_fits, convolution_norm, spectral_norm
from jaxrobust.numerics import of_rank

Striding = Literal["unshuffle", "true"]
# The Linen collection of what parameterizations remember between training steps.
MEMORY = "lipschitz"


class LipschitzConv(nn.Module):
    """A convolution whose output has the input's size over the stride, with a parameterized kernel.

    Parameters: ``kernel``, the parameterization's, and ``bias (features,)``, uniform at the start within
    ``fan_in^(-1/2)``, with BCOP within ``features^(-1/2)``, as published.

    Attributes:
        features: Output channels.
        kernel_size: Height and width of the kernel.
        stride: Rows and columns from one output pixel to the next; divides the image.
        parameterization: How the kernel is made.
        padding: ``"circular"``, or ``"zero"``: then the layer's constant is at most that of the circular
            one, but it does not preserve gradients.
        striding: ``"unshuffle"`` moves squares of pixels into the channels and convolves with
            ``kernel_size / stride`` (Li et al. 2019); ``"true"`` makes an orthogonal kernel of the full size
            for the stride (Boissin et al. 2025), with BCOP.
        use_bias: Whether there is a bias.

    Example:
        >>> conv = LipschitzConv(8, kernel_size=4, stride=2)
        >>> x = jnp.ones((2, 8, 8, 3))
        >>> conv.apply(conv.init(jax.random.key(0), x), x).shape
        (2, 4, 4, 8)
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    parameterization: Parameterization = BCOP()
    padding: Padding = "circular"
    striding: Striding = "unshuffle"
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Images, training: bool = False) -> Images:
        """Convolve."""
        shape, image = self._kernel_shape(x.shape[1:])
        bias: Array | float = 0.0
        if self.use_bias:
            reach = (
                self.features if isinstance(self.parameterization, BCOP) else math.prod(shape[:3])
            ) ** -0.5
            bias = of_rank(self.param("bias", _uniform(reach), (self.features,)), 4)
        if self.stride > 1 and self.striding == "true":
            return pad_and_convolve(x, self._strided(shape), self.padding, stride=self.stride) + bias
        x = space_to_depth(x, self.stride) if self.stride > 1 else x
        kernel = self._kernel(shape, image, training)
        return self.parameterization.apply(kernel, x, self.features, self.padding) + bias

    def _kernel(self, shape: KernelShape, image: tuple[int, int], training: bool) -> Float[Array, "..."]:
        how = self.parameterization
        start, memory = how.memory(shape, image), None
        if start is not None:
            memory = self.variable(MEMORY, "memory", lambda: start)
        remembered: list[Any] = []

        def make(parameters: Any) -> Array:
            kernel, new = how.kernel(parameters, None if memory is None else memory.value, image)
            remembered.append(new)
            return kernel

        kernel = linen_kernel(self, "kernel", lambda key: how.init(key, shape, image), make)
        if memory is not None and remembered and training and not self.is_initializing():
            memory.value = remembered[0]
        return kernel

    def _strided(self, shape: KernelShape) -> Float[Array, "..."]:
        size, _, n_in, n_out = shape
        n_inner = strided_channels((n_in, n_out), self.stride)
        inner = (size - self.stride + 1, size - self.stride + 1, n_in, n_inner)
        fan = self.stride**2 * n_inner

        def init(key: Array) -> dict[str, Any]:
            outer = orthogonal(fan**-0.5)
            keys = jax.random.split(key)
            return {
                "inner": self.parameterization.init(keys[0], inner, (size, size)),
                "outer": outer(keys[1], (fan, n_out)),
            }

        def make(parameters: Any) -> Array:
            first, _ = self.parameterization.kernel(parameters["inner"], None, (size, size))
            return strided_kernel(first, parameters["outer"], self.stride)

        return linen_kernel(self, "kernel", init, make)

    @nn.nowrap
    def _kernel_shape(self, shape: tuple[Any, ...]) -> tuple[KernelShape, tuple[int, int]]:
        """The kernel's shape and the image that it is applied to.

        Raises:
            InputError: The settings do not fit each other or the image.
        """
        if len(shape) != 3:
            raise InputError(f"A convolution takes images (height, width, channels), not samples of {shape}.")
        name = type(self.parameterization).__name__
        check_padding(self.padding, self.parameterization.paddings, f"a convolution by {name}")
        if self.stride == 1:
            check_kernel_fits((self.kernel_size,) * 2, shape[:2])
            return (self.kernel_size, self.kernel_size, shape[-1], self.features), shape[:2]
        check_divides(self.stride, shape[:2], "A stride")
        if self.striding == "true":
            if not isinstance(self.parameterization, BCOP) or self.kernel_size < self.stride:
                raise InputError(
                    f'striding="true" needs BCOP and a kernel at least as large as the stride, not {name} '
                    f"with a kernel of {self.kernel_size} and a stride of {self.stride}."
                )
            return (self.kernel_size, self.kernel_size, shape[-1], self.features), shape[:2]
        if self.kernel_size % self.stride:
            raise InputError(
                f"The stride {self.stride} must divide the kernel size {self.kernel_size}, or use "
                f'striding="true".'
            )
        size = self.kernel_size // self.stride
        image = (shape[0] // self.stride, shape[1] // self.stride)
        check_kernel_fits((size, size), image)
        return (size, size, shape[-1] * self.stride**2, self.features), image

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The norm of the convolution with this kernel, measured at the image's size."""
        (_, _, n_in, n_out), image = self._kernel_shape(shape)
        kernel = baked_kernel(parameters)
        if self.stride > 1 and self.striding == "true":
            constant = convolution_norm(kernel, image, self.padding, self.stride)
        else:
            constant = self.parameterization.norm(kernel, image, (n_in, n_out), self.padding)
        pixels = (shape[0] // self.stride, shape[1] // self.stride)
        preserves = self.parameterization.is_orthogonal and self.padding == "circular"
        offset = float(np.linalg.norm(np.asarray(parameters.get("bias", 0.0), np.float64)))
        return Bound(constant, (*pixels, self.features), preserves, offset * math.prod(pixels) ** 0.5)


class OrthogonalDense(nn.Module):
    """A dense layer with an orthogonalized matrix (``polar.orthogonalize``): all singular values are 1.

    Parameters: ``kernel/matrix (inputs, features)``, semi-orthogonal times ``inputs^(-1/2)`` at the start,
    and ``bias (features,)``, uniform within ``inputs^(-1/2)``.

    Attributes:
        features: Outputs.
        use_bias: Whether there is a bias.
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch features"]:
        """Multiply."""
        n_in = x.shape[-1]
        start = orthogonal(n_in**-0.5)
        kernel = linen_kernel(
            self,
            "kernel",
            lambda key: {"matrix": start(key, (n_in, self.features))},
            lambda p: orthogonalize(p["matrix"]),
        )
        y = x @ kernel
        if not self.use_bias:
            return y
        return y + of_rank(self.param("bias", _uniform(n_in**-0.5), (self.features,)), y.ndim)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """The largest singular value of this matrix; gradients keep their norm on the way to more inputs."""
        del shape
        kernel = baked_kernel(parameters)
        offset = float(np.linalg.norm(np.asarray(parameters.get("bias", 0.0), np.float64)))
        return Bound(spectral_norm(kernel), (self.features,), True, offset)


def baked_kernel(parameters: Any) -> Float[np.ndarray, "..."]:
    """Return the kernel of a layer's baked parameters as float64 on the host.

    Raises:
        InputError: The parameters are not baked.
    """
    if not is_baked(parameters["kernel"]):
        raise InputError("A bound is measured on kernels: pass network.bake(parameters, statistics).")
    return np.asarray(parameters["kernel"], np.float64)


def _uniform(reach: float):
    return lambda key, shape: jax.random.uniform(key, shape, minval=-reach, maxval=reach)
