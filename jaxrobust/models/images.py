"""What the networks for images share."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError

Images = Float[Array, "batch height width channels"]


def check_image_batch(inputs: Images, image: tuple[int, int, int]) -> None:
    """Raise ``InputError`` for a batch that does not consist of images ``(height, width, channels)``."""
    if inputs.shape[1:] != image:
        raise InputError(
            f"The network takes images of shape (batch, {', '.join(map(str, image))}), height, width and "
            f"channels, but got {tuple(inputs.shape)}."
        )


def convolve(
    x: Images,
    kernel: Float[Array, "kernel_height kernel_width channels out_channels"],
    *,
    stride: int = 1,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> Images:
    """Cross-correlation of every image with the kernel; padding is (before, behind) in height and width."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def max_pool(x: Images) -> Images:
    """Largest value of every 2x2 square; an odd last row or column is left out."""
    batch, height, width, channels = x.shape
    height, width = height // 2, width // 2
    squares = x[:, : 2 * height, : 2 * width].reshape(batch, height, 2, width, 2, channels)
    return jnp.max(squares, axis=(2, 4))
