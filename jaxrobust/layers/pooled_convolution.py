"""A convolution, its bias, ReLU and 2x2 max-pooling as one operation, in the form each backend is fast at.

On a CPU the four are computed one after the other. On an accelerator the pooling comes first: adding a bias
and ReLU keep the order of numbers, so the values are the same, and only a quarter of them is left to add a
bias to. XLA's own gradient of a maximum counts ties, which costs two more passes over the largest array of
the network; here a tie sends the gradient to the first of its places, which is as much a subgradient.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from jaxrobust.layers.images import Images, Kernel, Padding, convolve, max_pool

Quarters = Float[Array, "batch rows 2 columns 2 channels"]

# Up to so many numbers, what a pooled pixel sees is cheaper to copy than to convolve. One channel is the case
# that matters: cuDNN takes a Fourier transform or no tensor cores for it.
MOST_COPIED = 64


def convolve_and_pool(
    x: Images,
    kernel: Kernel,
    bias: Float[Array, " out_channels_or_1"],
    *,
    padding: Padding = ((0, 0), (0, 0)),
) -> Images:
    """Compute ``max_pool(relu(convolve(x, kernel, padding=padding) + bias))``."""
    if jax.default_backend() == "cpu":
        return max_pool(jax.nn.relu(convolve(x, kernel, padding=padding) + bias))
    return pool_first(x, kernel, bias, padding)


def pool_first(
    x: Images, kernel: Kernel, bias: Float[Array, " out_channels_or_1"], padding: Padding
) -> Images:
    """Compute the same with the pooling before the bias."""
    height, width, channels, _ = kernel.shape
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    # An odd last row or column is left out by the pooling, so it is not convolved either.
    rows, columns = (x.shape[1] - height + 1) // 2, (x.shape[2] - width + 1) // 2
    x = x[:, : 2 * rows + height - 1, : 2 * columns + width - 1]
    if (height + 1) * (width + 1) * channels <= MOST_COPIED:
        quarters = _four_products(x, kernel, rows, columns)
    else:
        y = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), ((0, 0), (0, 0)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        quarters = y.reshape(y.shape[0], rows, 2, columns, 2, y.shape[3])
    return jax.nn.relu(_first_maximum(quarters) + bias)


def _four_products(x: Images, kernel: Kernel, rows: int, columns: int) -> Quarters:
    """The four sums behind every pooled pixel, as one matrix product with what all four of them see."""
    height, width, _, out_channels = kernel.shape
    seen = [
        x[:, u : u + 2 * rows - 1 : 2, v : v + 2 * columns - 1 : 2]
        for u in range(height + 1)
        for v in range(width + 1)
    ]
    shifted = [
        jnp.pad(kernel, ((a, 1 - a), (b, 1 - b), (0, 0), (0, 0))).reshape(-1, out_channels)
        for a in (0, 1)
        for b in (0, 1)
    ]
    products = jnp.concatenate(seen, axis=-1) @ jnp.concatenate(shifted, axis=-1)
    return products.reshape(*products.shape[:3], 2, 2, out_channels).transpose(0, 1, 3, 2, 4, 5)


@jax.custom_jvp
def _first_maximum(quarters: Quarters) -> Images:
    return jnp.maximum(
        jnp.maximum(quarters[:, :, 0, :, 0], quarters[:, :, 0, :, 1]),
        jnp.maximum(quarters[:, :, 1, :, 0], quarters[:, :, 1, :, 1]),
    )


@_first_maximum.defjvp
def _derivative(values: tuple[Quarters], tangents: tuple[Quarters]) -> tuple[Images, Images]:
    (quarters,), (tangent,) = values, tangents
    largest = _first_maximum(quarters)
    # A sum under a mask, whose transpose is one elementwise pass; slices would become four padded arrays.
    chosen = jnp.where(_is_first(quarters, largest), tangent, 0)
    return largest, chosen.sum(axis=(2, 4))


def _is_first(quarters: Quarters, largest: Images) -> Bool[Array, "batch rows 2 columns 2 channels"]:
    is_free = jnp.ones(largest.shape, bool)
    rows = []
    for a in (0, 1):
        row = []
        for b in (0, 1):
            row.append(is_free & (quarters[:, :, a, :, b] == largest))
            is_free &= ~row[-1]
        rows.append(jnp.stack(row, axis=3))
    return jnp.stack(rows, axis=2)
