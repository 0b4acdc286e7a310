"""The SDP-based Lipschitz layer (SLL, Araujo et al. 2023): a residual layer of constant at most 1."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.layers.images import Images
from jaxrobust.layers.lipschitz.block_convolution import Taps
from jaxrobust.layers.lipschitz.circular import Padding, pad_and_convolve
from jaxrobust.layers.lipschitz.parameterizations import (
    KernelShape,
    PlainTaps,
    tap_correlations,
    uniform_taps,
)
from jaxrobust.layers.lipschitz.polar import at_least_float32
from jaxrobust.layers.lipschitz.spectrum import convolution_norm
from jaxrobust.numerics import divide, of_rank, root


@dataclass(frozen=True)
class SLL(PlainTaps):
    """``x - 2 M' relu(M x)`` with ``M = T^(1/2) K`` and ``T_i = 1 / sum_j |K K'|_ij q_j / q_i``.

    ``M M'`` has then no eigenvalue above 1, for any padding, so that no derivative of the layer exceeds 1.
    As many outputs as the larger number of channels; missing input channels are zeros, superfluous
    output channels are left out. The rectified unit inside has no bias here.

    Parameters: ``taps (k, k, n, n)`` and ``log_q (n,)``. The kernel is M.
    """

    is_orthogonal: ClassVar[bool] = False

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw taps; all ``q`` are 1."""
        del image
        n = max(shape[2:])
        return {"taps": uniform_taps(key, (*shape[:2], n, n)), "log_q": jnp.zeros(n)}

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Scale the output channels of the taps."""
        del memory, image
        given = parameters["taps"]
        taps = at_least_float32(given)
        log_q = parameters["log_q"].astype(taps.dtype)
        # Output channels in the place of input channels: the taps of K K'.
        correlations = tap_correlations(jnp.swapaxes(taps, 2, 3))
        magnitudes = jnp.sum(jnp.abs(correlations), axis=(1, 2))
        sums = jnp.sum(magnitudes * jnp.exp(log_q[None] - log_q[:, None]), axis=1)
        return divide(taps, of_rank(root(sums), 4)).astype(given.dtype), None

    def apply(self, kernel: Taps, x: Images, n_out: int, padding: Padding) -> Images:
        """Subtract twice the reflected part."""
        n = kernel.shape[2]
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, n - x.shape[-1])))

        def convolve(x: Images) -> Float[Array, "batch height width channels"]:
            return pad_and_convolve(x, kernel, padding)

        y, back = jax.vjp(convolve, x)
        return (x - 2 * back(jax.nn.relu(y))[0])[..., :n_out]

    def norm(self, kernel: Any, image: tuple[int, int], channels: tuple[int, int], padding: Padding) -> float:
        """``max(1, 2 |M|^2 - 1)``: all derivatives are ``I - 2 M' D M`` with ``0 <= D <= I``."""
        del channels
        return max(1.0, 2 * convolution_norm(kernel, image, padding) ** 2 - 1)
