"""Orthogonal convolutions of large support: Cayley transforms per frequency, exponentials of skew taps."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Complex, Float, PyTree

from jaxrobust.factorizations import inverse
from jaxrobust.layers.images import Images
from jaxrobust.layers.lipschitz.block_convolution import Taps
from jaxrobust.layers.lipschitz.circular import Padding, pad_and_convolve
from jaxrobust.layers.lipschitz.parameterizations import KernelShape, PlainTaps, check_is_square, uniform_taps
from jaxrobust.layers.lipschitz.polar import (
    HIGHEST,
    at_least_float32,
    largest_singular_value,
    product,
    transpose,
)
from jaxrobust.layers.lipschitz.spectrum import check_kernel_fits, spectral_norm, transfer_function
from jaxrobust.numerics import divide, norm, of_rank

Frequencies = Complex[Array, "height half_width rows columns"]


def cayley(matrices: Frequencies) -> Frequencies:
    """Return matrices with orthonormal columns from tall or square ones (Trockman and Kolter 2021).

    With the square top U, the rest V, and ``A = U - U* + V* V``: ``[(I + A)^-1 (I - A); -2 V (I + A)^-1]``.
    """
    n = matrices.shape[-1]
    top, rest = matrices[..., :n, :], matrices[..., n:, :]
    identity = of_rank(jnp.eye(n, dtype=matrices.dtype), matrices.ndim)
    a = top - _adjoint(top) + product(_adjoint(rest), rest)
    inverted = inverse(identity + a)
    return jnp.concatenate([product(inverted, identity - a), -2 * product(rest, inverted)], axis=-2)


def _adjoint(matrices: Array) -> Array:
    return jnp.conj(transpose(matrices))


@dataclass(frozen=True)
class Cayley(PlainTaps):
    """The Cayley transform of a convolution's matrices at all frequencies: exactly orthogonal.

    Parameters: ``taps (k, k, channels_in, channels_out)`` and ``length``, to which they are normalized. The
    kernel is as large as the image and is applied by Fourier transforms; making it inverts a matrix per
    frequency.
    """

    is_orthogonal: ClassVar[bool] = True
    paddings: ClassVar[tuple[str, ...]] = ("circular",)

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw taps; ``length`` is the norm of their transform."""
        check_kernel_fits(shape[:2], image)
        taps = uniform_taps(key, shape)
        transform = jnp.fft.rfft2(taps, image, axes=(0, 1))
        return {"taps": taps, "length": jnp.linalg.norm(transform.reshape(-1))}

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Make the taps ``(height, width, channels_in, channels_out)`` of a kernel as large as the image."""
        del memory
        given = parameters["taps"]
        taps = at_least_float32(given)
        matrices = jnp.fft.rfft2(taps, image, axes=(0, 1))
        length = norm(jnp.stack([matrices.real, matrices.imag]))
        matrices = divide(matrices * parameters["length"].astype(taps.dtype), length)
        is_tall = taps.shape[2] >= taps.shape[3]
        q = cayley(matrices) if is_tall else transpose(cayley(transpose(matrices)))
        return jnp.fft.irfft2(q, image, axes=(0, 1)).astype(given.dtype), None

    def apply(self, kernel: Taps, x: Images, n_out: int, padding: Padding) -> Images:
        """Convolve through Fourier transforms."""
        del n_out, padding
        image = x.shape[1:3]
        wide = at_least_float32(x)
        transform = jnp.fft.rfft2(wide, axes=(1, 2))
        matrices = jnp.fft.rfft2(kernel.astype(wide.dtype), axes=(0, 1))
        y = jnp.einsum("bhwi,hwio->bhwo", transform, matrices, precision=HIGHEST)
        return jnp.fft.irfft2(y, image, axes=(1, 2)).astype(x.dtype)


@dataclass(frozen=True)
class SOC(PlainTaps):
    """The exponential of a skew-symmetric convolution (Singla and Feizi 2021), orthogonal in the limit.

    ``y = sum_{i <= T} A^i x / i!`` with ``A`` skew, which it also is with zero padding. The sum is cut off,
    so the norm may exceed 1 by about ``|A|^(T + 1) / (T + 1)!``; the certificate measures it. Channels that
    are missing on one side are zeros.

    Parameters: ``taps (k, k, n, n)`` with n the larger number of channels, and k the next odd number if it is
    even: a skew convolution has a middle tap. The kernel is A.

    Attributes:
        n_terms: T, in training and evaluation alike; published are 5 and 12.
    """

    is_orthogonal: ClassVar[bool] = True

    n_terms: int = 8

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw taps for the larger number of channels."""
        check_is_square(shape)
        size, n = shape[0] | 1, max(shape[2:])
        check_kernel_fits((size, size), image)
        return {"taps": uniform_taps(key, (size, size, n, n))}

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Make skew taps, times ``0.7 / s`` (``1 / s`` for a single tap), ``s`` the least flattened norm."""
        del memory, image
        given = parameters["taps"]
        skew = skew_taps(at_least_float32(given))
        size = flattened_norm(skew) / (1.0 if skew.shape[0] == 1 else 0.7)
        return divide(skew, size).astype(given.dtype), None

    def apply(self, kernel: Taps, x: Images, n_out: int, padding: Padding) -> Images:
        """Sum the series."""
        n = kernel.shape[2]
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, n - x.shape[-1])))

        def add(total_and_term: tuple[Array, Array], index: Array) -> tuple[tuple[Array, Array], None]:
            total, term = total_and_term
            term = pad_and_convolve(term, kernel, padding) / index.astype(term.dtype)
            return (total + term, term), None

        (total, _), _ = jax.lax.scan(add, (x, x), jnp.arange(1, self.n_terms + 1))
        return total[..., :n_out]

    def norm(self, kernel: Any, image: tuple[int, int], channels: tuple[int, int], padding: Padding) -> float:
        """The largest singular value of the series; with zero padding an upper bound."""
        n_in, n_out = channels
        kernel = np.asarray(kernel, np.float64)
        if padding == "zero":
            return self._norm_with_zeros(kernel, image)
        # Conjugated, and shifted so that the middle tap acts on its own pixel.
        height, width = kernel.shape[:2]
        rows = np.exp(2j * np.pi * np.fft.fftfreq(image[0])[:, None] * (height // 2))
        columns = np.exp(2j * np.pi * np.fft.rfftfreq(image[1])[None] * (width // 2))
        matrices = np.conj(transfer_function(kernel, image) * (rows * columns)[..., None, None])
        total = term = np.broadcast_to(np.eye(kernel.shape[2]), matrices.shape)
        for index in range(1, self.n_terms + 1):
            term = term @ matrices / index
            total = total + term
        return spectral_norm(total[..., :n_in, :n_out])

    def _norm_with_zeros(self, kernel: np.ndarray, image: tuple[int, int]) -> float:
        """``|sum A^i / i!| <= |exp A| + e^|A| |A|^(T+1) / (T+1)!`` and ``|exp A| <= exp(|A + A'| / 2)``."""
        larger = (image[0] + kernel.shape[0] - 1, image[1] + kernel.shape[1] - 1)
        length = spectral_norm(transfer_function(kernel, larger))
        symmetric = (kernel + kernel[::-1, ::-1].swapaxes(2, 3)) / 2
        excess = spectral_norm(transfer_function(symmetric, larger))
        rest = math.exp(length) * length ** (self.n_terms + 1) / math.factorial(self.n_terms + 1)
        return math.exp(excess) + rest


def skew_taps(taps: Taps) -> Taps:
    """Return ``(M - M*) / 2``, where ``M*`` has flipped taps and swapped channels: a skew convolution."""
    return (taps - jnp.swapaxes(taps[::-1, ::-1], 2, 3)) / 2


def flattened_norm(taps: Taps) -> Float[Array, ""]:
    """Estimate the smallest norm of the four matrices that a kernel can be flattened to."""
    height, width, n_in, n_out = taps.shape
    matrices = (
        jnp.transpose(taps, (0, 3, 1, 2)).reshape(height * n_out, width * n_in),
        jnp.transpose(taps, (1, 3, 0, 2)).reshape(width * n_out, height * n_in),
        jnp.transpose(taps, (3, 0, 1, 2)).reshape(n_out, -1),
        jnp.transpose(taps, (2, 0, 1, 3)).reshape(n_in, -1),
    )
    norms = [largest_singular_value(product(m, transpose(m)), 30) for m in matrices]
    return jnp.min(jnp.stack(norms))
