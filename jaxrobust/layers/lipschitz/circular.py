"""Convolutions with stride 1 whose output has the size of the input, padded circularly or with zeros."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images, convolve
from jaxrobust.layers.lipschitz.spectrum import check_kernel_fits

Padding = Literal["circular", "zero"]


def check_padding(padding: str, allowed: tuple[str, ...], what: str) -> None:
    """Raise ``InputError`` for a padding that a layer does not have, ``"SAME"`` or a number among them."""
    if padding not in get_args(Padding):
        raise InputError(
            f'padding of {what} is "circular" or "zero", by half of the kernel, not {padding!r}.'
        )
    if padding not in allowed:
        raise InputError(
            f"There is no bound with {padding} padding for {what}; its padding is {' or '.join(allowed)}."
        )


def around(size: int) -> tuple[int, int]:
    """Pixels padded before and behind: ``size // 2`` and the rest."""
    return size // 2, size - 1 - size // 2


def pad_and_convolve(
    x: Images,
    kernel: Float[Array, "height width channels_in channels_out"],
    padding: Padding,
    *,
    stride: int = 1,
    precise: bool = False,
) -> Images:
    """Cross-correlate images with a kernel; the output has as many pixels as the input, without a stride.

    Args:
        x: Images at least as large as the kernel.
        kernel: The taps.
        padding: ``"circular"`` joins opposite edges, with which an orthogonal kernel makes an orthogonal
            layer. With ``"zero"`` it makes one of norm at most 1 that does not preserve gradients.
        stride: Rows and columns from one output pixel to the next.
        precise: Whether to multiply in full precision on every device.
    """
    check_kernel_fits(kernel.shape[:2], x.shape[1:3])
    edges = ((0, 0), around(kernel.shape[0]), around(kernel.shape[1]), (0, 0))
    if any(sum(pair) for pair in edges):
        x = jnp.pad(x, edges, mode="wrap" if padding == "circular" else "constant")
    if not precise:
        return convolve(x, kernel, stride=stride)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=jax.lax.Precision.HIGHEST,
    )
