"""Orthogonal convolution kernels from block convolutions of projectors (BCOP, Li et al. 2019, section 4).

A kernel is an array of taps ``(height, width, channels_in, channels_out)`` for NHWC images; a tap acts on row
vectors, ``y = x K``. The kernel is the semi-orthogonal matrix ``H`` followed by 2 x 2 factors, each made of
two symmetric projectors ``P`` and ``Q``; its transfer function::

    F(w) = H prod_t (P_t + (I - P_t) z_y) (Q_t + (I - Q_t) z_x),    |z| = 1

has unitary factors, so all singular values are those of ``H`` at every frequency and for every image that is
at least as large as the kernel, with circular padding.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.layers.lipschitz.polar import at_least_float32, orthogonalize, product, transpose

# The convolution of two kernels is larger than both: axes with an underscore are not compared.
Taps = Float[Array, "_height _width _channels_in _channels_out"]


def block_convolve(first: Taps, second: Taps) -> Taps:
    """Return the kernel whose convolution equals that with ``first``, then with ``second``.

    ``(A * B)[i, j] = sum A[i', j'] B[i - i', j - j']`` with matrix products; associative, not commutative.

    Example:
        >>> block_convolve(jnp.ones((2, 2, 3, 4)), jnp.ones((3, 1, 4, 5))).shape
        (4, 2, 3, 5)
    """
    height, width = second.shape[:2]
    total = jnp.zeros(
        (
            first.shape[0] + height - 1,
            first.shape[1] + width - 1,
            first.shape[2],
            second.shape[3],
        ),
        first.dtype,
    )
    for i in range(height):
        for j in range(width):
            part = product(first, second[i, j])
            total = total.at[i : i + first.shape[0], j : j + first.shape[1]].add(part)
    return total


def append_projector(kernel: Taps, columns: Float[Array, "channels rank"], axis: int) -> Taps:
    """Block-convolve a kernel with the taps ``(P, I - P)`` along one spatial axis, ``P = columns columns'``.

    Equal to ``block_convolve``, with the products by the columns alone: as many rows as the kernel has.
    """
    inside = product(product(kernel, columns), transpose(columns))
    before, behind = [(0, 0)] * 4, [(0, 0)] * 4
    before[axis], behind[axis] = (1, 0), (0, 1)
    return jnp.pad(inside, behind) + jnp.pad(kernel - inside, before)


def bcop_kernel(
    matrix: Float[Array, "channels_in channels_out"],
    projectors: Float[Array, "n_projectors larger rank"],
) -> Taps:
    """Make an orthogonal kernel of size ``n_projectors / 2 + 1``.

    Args:
        matrix: Orthogonalized to H.
        projectors: Orthogonalized to the columns of the projectors, in the order P1, Q1, P2, Q2, …;
            ``larger`` is the larger number of channels, and the rank half of it, which with twice the
            channels reaches every component of the set of orthogonal kernels (the paper's theorem 2).

    Returns:
        Taps whose convolution keeps norms (as many output channels as input channels or more), or whose
        transpose does (fewer).

    Example:
        >>> import jax
        >>> draw = lambda *shape: jax.random.normal(jax.random.key(0), shape)
        >>> bcop_kernel(draw(3, 4), draw(4, 4, 2)).shape
        (3, 3, 3, 4)
    """
    h = orthogonalize(at_least_float32(matrix))
    is_wide = h.shape[0] <= h.shape[1]
    kernel = (h if is_wide else transpose(h))[None, None]  # (1, 1, smaller, larger)
    if len(projectors):
        columns = orthogonalize(at_least_float32(projectors))
        for index in range(len(projectors)):
            kernel = append_projector(kernel, columns[index], axis=index % 2)
    return (kernel if is_wide else transpose(kernel)).astype(matrix.dtype)


def strided_channels(channels: tuple[int, int], stride: int) -> int:
    """Channels between the two parts of ``strided_kernel``."""
    return max(channels[0], channels[1] // stride**2)


def strided_kernel(inner: Taps, outer: Float[Array, "rows columns"], stride: int) -> Taps:
    """Make an orthogonal kernel of a convolution with stride (Boissin et al. 2025, AOC).

    Args:
        inner: An orthogonal kernel of stride 1 and size ``k - stride + 1``, to ``strided_channels``.
        outer: Orthogonalized to a convolution of size and stride ``stride``, whose windows do not overlap:
            ``(stride * stride * channels, channels_out)``.
        stride: The stride; the kernel has size k.
    """
    n_inner = inner.shape[-1]
    second = orthogonalize(at_least_float32(outer)).reshape(stride, stride, n_inner, -1)
    return block_convolve(at_least_float32(inner), second).astype(inner.dtype)
