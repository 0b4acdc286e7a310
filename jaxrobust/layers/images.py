"""What the networks for images share."""

import math
from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.errors import InputError
from jaxrobust.numerics import largest, rows_times

# Layers change height, width and channels: axes with an underscore are not compared between arguments.
Images = Float[Array, "batch _height _width _channels"]
Kernel = Float[Array, "kernel_height kernel_width channels out_channels"]
Padding = tuple[tuple[int, int], tuple[int, int]]

# From so many on, a matrix product over the channels alone uses a CPU well.
MANY_CHANNELS = 32
# Of fewer channels than these, a row of a small kernel makes too small a product.
FEW_CHANNELS = 8
# With more pixels, products by rows keep more than they save.
SMALL_IMAGE = 14 * 14


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
    stride: int | tuple[int, int] = 1,
    padding: Padding = ((0, 0), (0, 0)),
) -> Images:
    """Cross-correlation of every image with the kernel; padding is (before, behind) in height and width."""
    strides = (stride, stride) if isinstance(stride, int) else stride
    if jax.default_backend() == "cpu":
        # Thinned out afterwards: XLA is several times slower at the gradient of a stride inside a loop.
        return _convolve_on_cpu(x, kernel, padding)[:, :: strides[0], :: strides[1]]
    return _convolve_by_xla(x, kernel, strides, padding)


def _convolve_by_xla(
    x: Images, kernel: Kernel, strides: tuple[int, int] = (1, 1), padding: Padding = ((0, 0), (0, 0))
) -> Images:
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# On a CPU, XLA's gradient of the kernel is slower than one matrix product for each place in the kernel,
# which is what the transposed sum of products comes down to.
@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve_on_cpu(x: Images, kernel: Kernel, padding: Padding) -> Images:
    return _convolve_by_xla(x, kernel, padding=padding)


@_convolve_on_cpu.defjvp
def _derivative(
    padding: Padding, values: tuple[Images, Kernel], tangents: tuple[Images, Kernel]
) -> tuple[Images, Images]:
    (x, kernel), (x_dot, kernel_dot) = values, tangents
    along = _convolve_with_fast_transpose(x_dot, kernel, padding) + _sum_of_products(x, kernel_dot, padding)
    if kernel.shape[2] >= MANY_CHANNELS:  # differentiated, XLA's convolution is slow as well
        return _sum_of_products(x, kernel, padding), along
    return _convolve_on_cpu(x, kernel, padding), along


def _convolve_with_fast_transpose(x: Images, kernel: Kernel, padding: Padding) -> Images:
    # Inside a loop XLA is slow where a kernel has its output channels before its input channels, which the
    # transpose of the usual order has, and the transpose of this order has not.
    swapped = jnp.swapaxes(kernel, 2, 3)
    return jax.lax.conv_general_dilated(
        x, swapped, (1, 1), padding, dimension_numbers=("NHWC", "HWOI", "NHWC")
    )


def _sum_of_products(x: Images, kernel: Kernel, padding: Padding) -> Images:
    """The same convolution as a sum over the places in the kernel or, with few channels, over its rows."""
    height, width, channels, out_channels = kernel.shape
    x = _padded(x, padding)
    shape = (x.shape[0], x.shape[1] - height + 1, x.shape[2] - width + 1, out_channels)
    if channels < MANY_CHANNELS:
        x = jnp.concatenate([x[:, :, at : shape[2] + at] for at in range(width)], axis=-1)
        kernel = kernel.reshape(height, 1, width * channels, out_channels)
    window, offsets = _window_at(x, *kernel.shape[:2]), _offsets(*kernel.shape[:2])

    @partial(jax.checkpoint, prevent_cse=False)  # windows are copied again rather than kept
    def add_product(total: Array, place: tuple[Array, Array]) -> tuple[Array, None]:
        offset, weights = place
        return total + window(offset) @ weights, None

    start = jnp.zeros((math.prod(shape[:3]), out_channels), x.dtype)
    places = (offsets, kernel.reshape(-1, *kernel.shape[2:]))
    return jax.lax.scan(add_product, start, places)[0].reshape(shape)


def is_faster_by_rows(x: Images, kernel: Kernel, stride: int) -> bool:
    """Whether ``convolve_by_rows``, gradients included, is faster than ``convolve`` on this backend."""
    _, image_height, image_width, channels = x.shape
    is_small = max(kernel.shape[:2]) <= 3
    saves = stride > 1 or channels < FEW_CHANNELS or image_height * image_width <= SMALL_IMAGE
    return jax.default_backend() == "cpu" and is_small and saves


def convolve_by_rows(
    x: Images, kernel: Kernel, *, stride: int = 1, padding: Padding = ((0, 0), (0, 0))
) -> Images:
    """Compute ``convolve`` as one matrix product for each row of the kernel, or one in all if that is small.

    On a CPU, kernels of up to 3x3 on small images are up to twice as fast this way, with their gradients, and
    with a stride three times: only what is kept is computed (``benchmarks/stitching.py``).
    """
    height, width, channels, out_channels = kernel.shape
    x = _padded(x, padding)
    rows, columns = ((n - size) // stride + 1 for n, size in zip(x.shape[1:3], (height, width), strict=True))

    def seen(row: int, column: int) -> Images:
        """What one place of the kernel sees."""
        there = slice(row, row + stride * (rows - 1) + 1, stride)
        return x[:, there, column : column + stride * (columns - 1) + 1 : stride]

    n_rows = height if stride > 1 or channels < FEW_CHANNELS else 1

    def product(first: int) -> Images:
        taken = range(first, first + n_rows)
        beside = jnp.concatenate([seen(row, column) for row in taken for column in range(width)], axis=-1)
        return rows_times(beside, kernel[first : first + n_rows].reshape(-1, out_channels))

    return reduce(jnp.add, map(product, range(0, height, n_rows)))


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
    return largest(squares, (2, 4))
