"""What the networks for images share."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.errors import InputError

Images = Float[Array, "batch height width channels"]
Kernel = Float[Array, "kernel_height kernel_width channels out_channels"]
Padding = tuple[tuple[int, int], tuple[int, int]]

# From so many on, a matrix product over the channels alone uses a CPU well.
MANY_CHANNELS = 32


def check_image_batch(inputs: Images, image: tuple[int, int, int]) -> None:
    """Raise ``InputError`` for a batch that does not consist of images ``(height, width, channels)``."""
    if inputs.shape[1:] != image:
        raise InputError(
            f"The network takes images of shape (batch, {', '.join(map(str, image))}), height, width and "
            f"channels, but got {tuple(inputs.shape)}."
        )


def convolve(
    x: Images,
    kernel: Kernel,
    *,
    stride: int = 1,
    padding: Padding = ((0, 0), (0, 0)),
) -> Images:
    """Cross-correlation of every image with the kernel; padding is (before, behind) in height and width."""
    if stride == 1 and jax.default_backend() == "cpu":
        return _convolve_on_cpu(x, kernel, padding)
    return _convolve_by_xla(x, kernel, stride, padding)


def _convolve_by_xla(
    x: Images, kernel: Kernel, stride: int = 1, padding: Padding = ((0, 0), (0, 0))
) -> Images:
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# On a CPU, XLA's gradient of the kernel takes five times as long as one matrix product for each
# place in the kernel, and its convolution of many channels four times (benchmarks/training_step.py).
@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_on_cpu(x: Images, kernel: Kernel, padding: Padding) -> Images:
    return _convolve_by_xla(x, kernel, 1, padding)


def _forward(x: Images, kernel: Kernel, padding: Padding) -> tuple[Images, tuple[Images, Kernel]]:
    height, width, channels, out_channels = kernel.shape
    if channels < MANY_CHANNELS:
        return _convolve_by_xla(x, kernel, 1, padding), (x, kernel)
    kept = x, kernel
    x = _padded(x, padding)
    window = _window_at(x, height, width)

    def add_product(total: Array, place: tuple[Array, Array]) -> tuple[Array, None]:
        offset, weights = place
        return total + window(offset) @ weights, None

    shape = (x.shape[0], x.shape[1] - height + 1, x.shape[2] - width + 1, out_channels)
    start = jnp.zeros((math.prod(shape[:3]), out_channels), x.dtype)
    places = (_offsets(height, width), kernel.reshape(-1, channels, out_channels))
    return jax.lax.scan(add_product, start, places)[0].reshape(shape), kept


def _backward(padding: Padding, kept: tuple[Images, Kernel], bar: Images) -> tuple[Images, Kernel]:
    x, kernel = kept
    (x_bar,) = jax.vjp(lambda x: _convolve_by_xla(x, kernel, 1, padding), x)[1](bar)
    x = _padded(x, padding)
    height, width, channels, out_channels = kernel.shape
    flat_bar = bar.reshape(-1, out_channels)
    if channels < MANY_CHANNELS:
        # A product for each row of the kernel: single places would be too thin.
        across = jnp.concatenate([x[:, :, at : x.shape[2] - width + 1 + at] for at in range(width)], axis=-1)
        window, offsets = _window_at(across, height, 1), _offsets(height, 1)
    else:
        window, offsets = _window_at(x, height, width), _offsets(height, width)
    kernel_bar = jax.lax.map(lambda offset: window(offset).T @ flat_bar, offsets)
    return x_bar, kernel_bar.reshape(kernel.shape)


_convolve_on_cpu.defvjp(_forward, _backward)


def _padded(x: Images, padding: Padding) -> Images:
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _offsets(height: int, width: int) -> Int[Array, "places 2"]:
    return jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"), -1).reshape(-1, 2)


def _window_at(x: Images, height: int, width: int) -> Callable[[Array], Float[Array, "pixels channels"]]:
    """What one place of a kernel sees of all images, as a matrix."""
    size = (x.shape[0], x.shape[1] - height + 1, x.shape[2] - width + 1, x.shape[3])

    def window(offset: Array) -> Array:
        return jax.lax.dynamic_slice(x, (0, offset[0], offset[1], 0), size).reshape(-1, x.shape[3])

    return window


def max_pool(x: Images) -> Images:
    """Largest value of every 2x2 square; an odd last row or column is left out."""
    batch, height, width, channels = x.shape
    height, width = height // 2, width // 2
    squares = x[:, : 2 * height, : 2 * width].reshape(batch, height, 2, width, 2, channels)
    return jnp.max(squares, axis=(2, 4))
