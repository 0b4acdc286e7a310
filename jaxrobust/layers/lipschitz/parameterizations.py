"""Parameterizations of convolution kernels whose norm is bounded by 1: BCOP, RKO, OSSN, RK-L2NE, AOL, SVCM.

Each makes the taps ``(height, width, channels_in, channels_out)`` of a convolution with stride 1 from its own
parameters. What they promise differs: BCOP is orthogonal, RKO, RK-L2NE and AOL are at most 1, OSSN is 1 as
far as its power iteration converged, and SVCM as far as its projection did. Certificates measure, so that
none of these promises is taken on trust.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.errors import InputError
from jaxrobust.factorizations import orthogonal
from jaxrobust.layers.images import Images
from jaxrobust.layers.lipschitz.block_convolution import Taps, bcop_kernel
from jaxrobust.layers.lipschitz.circular import Padding, pad_and_convolve
from jaxrobust.layers.lipschitz.polar import HIGHEST, at_least_float32, orthogonalize, product, transpose
from jaxrobust.layers.lipschitz.spectrum import convolution_norm
from jaxrobust.numerics import divide, of_rank, root, unit

KernelShape = tuple[int, int, int, int]


class Parameterization(Protocol):
    """How the kernel of a convolution with stride 1 is made and applied; a frozen dataclass.

    Attributes:
        is_orthogonal: Whether the layer preserves the norm of gradients, with circular padding.
        paddings: The paddings that the layer can have.
    """

    is_orthogonal: ClassVar[bool]
    paddings: ClassVar[tuple[str, ...]]

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw what the kernel is made of."""
        ...

    def memory(self, shape: KernelShape, image: tuple[int, int]) -> Array | None:
        """What is remembered between training steps, to begin with; None for nothing."""
        ...

    def kernel(
        self, parameters: Any, memory: Any, image: tuple[int, int]
    ) -> tuple[Float[Array, "..."], Array | None]:
        """Make the kernel, and what is remembered from then on."""
        ...

    def apply(self, kernel: Float[Array, "..."], x: Images, n_out: int, padding: Padding) -> Images:
        """Convolve images with a kernel."""
        ...

    def norm(self, kernel: Any, image: tuple[int, int], channels: tuple[int, int], padding: Padding) -> float:
        """Measure the Lipschitz constant with any kernel, in float64 on the host."""
        ...


def check_is_square(shape: KernelShape) -> None:
    """Raise ``InputError`` for a kernel that is not as high as wide."""
    if shape[0] != shape[1]:
        raise InputError(f"This kernel must be as high as wide, not {shape[0]}x{shape[1]}.")


def uniform_taps(key: Array, shape: KernelShape) -> Taps:
    """Draw taps uniformly within ``fan_in^(-1/2)``, PyTorch's default for convolutions."""
    reach = (shape[0] * shape[1] * shape[2]) ** -0.5
    return jax.random.uniform(key, shape, minval=-reach, maxval=reach)


@dataclass(frozen=True)
class PlainTaps:
    """What most parameterizations share: nothing remembered, a plain convolution, its measured norm."""

    is_orthogonal: ClassVar[bool] = False
    paddings: ClassVar[tuple[str, ...]] = ("circular", "zero")

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw taps."""
        del image
        return {"taps": uniform_taps(key, shape)}

    def memory(self, shape: KernelShape, image: tuple[int, int]) -> Array | None:
        """Nothing is remembered."""
        del shape, image

    def apply(self, kernel: Taps, x: Images, n_out: int, padding: Padding) -> Images:
        """Convolve."""
        del n_out
        return pad_and_convolve(x, kernel, padding)

    def norm(self, kernel: Any, image: tuple[int, int], channels: tuple[int, int], padding: Padding) -> float:
        """The largest singular value; with zero padding an upper bound."""
        del channels
        return convolution_norm(kernel, image, padding)


@dataclass(frozen=True)
class BCOP(PlainTaps):
    """Block convolution orthogonal parameterization (Li et al. 2019): exactly orthogonal.

    Parameters: ``matrix (channels_in, channels_out)`` and ``projectors (2 (k - 1), n, n // 2)`` with ``n``
    the larger number of channels, each a random semi-orthogonal matrix times ``n^(-1/2)``. Published
    are square matrices, whose remaining rows and columns are never used.
    """

    is_orthogonal: ClassVar[bool] = True

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw the matrix and the columns of the projectors."""
        del image
        check_is_square(shape)
        n = max(shape[2:])
        draw = orthogonal(n**-0.5)
        keys = jax.random.split(key, 2 * shape[0] - 1)
        columns = jax.vmap(lambda k: draw(k, (n, n // 2)))(keys[1:])
        return {"matrix": draw(keys[0], shape[2:]), "projectors": columns}

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Make an orthogonal kernel."""
        del memory, image
        return bcop_kernel(parameters["matrix"], parameters["projectors"]), None


@dataclass(frozen=True)
class RKO(PlainTaps):
    """Reshaped-kernel orthogonalization (Tsuzuku et al. 2018; Anil et al. 2019).

    The kernel as a matrix ``(k k channels_in, channels_out)`` is orthogonalized and divided by k, since each
    pixel enters ``k^2`` windows. Its norm is at most 1, and mostly well below.

    Attributes:
        is_scaled: Whether to divide by k. Without, the norm is up to k, as only the certificate says.
    """

    is_scaled: bool = True

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> PyTree[Array]:
        """Draw a semi-orthogonal matrix times ``fan_in^(-1/2)``."""
        del image
        check_is_square(shape)
        fan_in = shape[0] * shape[1] * shape[2]
        matrix = orthogonal(fan_in**-0.5)(key, (fan_in, shape[3]))
        return {"taps": matrix.reshape(shape)}

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Orthogonalize the reshaped kernel."""
        del memory, image
        taps = parameters["taps"]
        matrix = orthogonalize(taps.reshape(-1, taps.shape[-1]))
        return matrix.reshape(taps.shape) / (taps.shape[0] if self.is_scaled else 1), None


@dataclass(frozen=True)
class OSSN(PlainTaps):
    """One-sided spectral normalization of the convolution itself (Gouk et al. 2021; Farnia et al. 2019).

    The taps are divided by ``max(s, 1)``, where ``s`` comes from power iteration with the exact adjoint. Its
    output-shaped vector is remembered between training steps (collection ``lipschitz``), and every forward
    pass iterates from it. The estimate is never above the true norm, so the layer's constant may exceed 1.

    Attributes:
        n_iterations: Power iterations per forward pass; published 10.
    """

    paddings: ClassVar[tuple[str, ...]] = ("circular",)

    n_iterations: int = 10

    def memory(self, shape: KernelShape, image: tuple[int, int]) -> Array:
        """A fixed direction ``(1, height, width, channels_out)`` to begin with."""
        return unit(jax.random.normal(jax.random.key(0), (1, *image, shape[3])))

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, Array]:
        """Divide the taps by their estimated norm if it is above 1."""
        taps = at_least_float32(parameters["taps"])
        norm, vector = convolution_norm_estimate(taps, memory.astype(taps.dtype), image, self.n_iterations)
        kernel = (taps / jnp.maximum(norm, 1)).astype(parameters["taps"].dtype)
        return kernel, vector.astype(memory.dtype)


def convolution_norm_estimate(
    taps: Taps, vector: Float[Array, "1 height width channels_out"], image: tuple[int, int], n_iterations: int
) -> tuple[Float[Array, ""], Float[Array, "1 height width channels_out"]]:
    """Estimate the norm of a circular convolution by power iteration; differentiable in ``taps``.

    Returns:
        The estimate, never above the norm, and the vector after the iterations.
    """
    fixed = jax.lax.stop_gradient(taps)
    like = jax.ShapeDtypeStruct((1, *image, taps.shape[2]), taps.dtype)

    def convolve(x: Images, kernel: Taps) -> Images:
        return pad_and_convolve(x, kernel, "circular", precise=True)

    # The transpose is the exact adjoint; flipped taps are off by a shift for even kernels.
    adjoint = jax.linear_transpose(lambda x: convolve(x, fixed), like)

    def iterate(_: int, u: Array) -> Array:
        return unit(convolve(unit(adjoint(u)[0]), fixed))

    u = jax.lax.stop_gradient(jax.lax.fori_loop(0, n_iterations, iterate, vector))
    v = jax.lax.stop_gradient(unit(adjoint(u)[0]))
    return jnp.sum(u * convolve(v, taps)), u


@dataclass(frozen=True)
class L2NE(PlainTaps):
    """Reshaped kernel, L2-nonexpansive (RK-L2NE; Qian and Wegman 2019).

    The kernel as a matrix M is divided by ``sqrt(min(|M M'|_inf, |M' M|_inf))``, the largest absolute row
    sums, which bound its norm, and by k. Needs no iteration, and stays far below 1.
    """

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Divide the taps by the bound of their norm."""
        del memory, image
        given = parameters["taps"]
        taps = at_least_float32(given)
        factor = l2ne_bound(taps.reshape(-1, taps.shape[-1])) * (taps.shape[0] * taps.shape[1]) ** 0.5
        return divide(taps, factor).astype(given.dtype), None


def l2ne_bound(matrix: Float[Array, "rows columns"]) -> Float[Array, ""]:
    """An upper bound of a matrix's norm: ``sqrt(min(|M M'|_inf, |M' M|_inf))``."""
    bounds = [jnp.max(jnp.sum(jnp.abs(product(a, transpose(a))), -1)) for a in (matrix, matrix.T)]
    return root(jnp.minimum(*bounds))


@dataclass(frozen=True)
class AOL(PlainTaps):
    """Almost-orthogonal Lipschitz kernels (Prach and Lampert 2022): every input channel is rescaled.

    Channel i is multiplied by ``(sum_j,shift |(K' K)_ij,shift|)^(-1/2)``. At most 1 for any padding.
    """

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Rescale the input channels."""
        del memory, image
        given = parameters["taps"]
        taps = at_least_float32(given)
        squared = jnp.sum(jnp.abs(tap_correlations(taps)), axis=(1, 2, 3))
        return divide(taps, of_rank(root(squared)[:, None], 4)).astype(given.dtype), None


def tap_correlations(taps: Taps) -> Float[Array, "channels_in shifts_y shifts_x channels_in"]:
    """Correlate the taps of every two input channels at all shifts: the taps of ``K' K``."""
    height, width = taps.shape[:2]
    return jax.lax.conv_general_dilated(
        jnp.moveaxis(taps, 2, 0),
        jnp.moveaxis(taps, 2, 3),
        (1, 1),
        ((height - 1, height - 1), (width - 1, width - 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=HIGHEST,
    )


@dataclass(frozen=True)
class Unconstrained(PlainTaps):
    """Plain taps, bounded by a projection of the optimizer (SVCM, ``SingularValuesOfConvolutions``) or not.

    The parameter is the kernel itself: there is nothing to bake.
    """

    def init(self, key: Array, shape: KernelShape, image: tuple[int, int]) -> Taps:
        """Draw the kernel."""
        del image
        return uniform_taps(key, shape)

    def kernel(self, parameters: Any, memory: Any, image: tuple[int, int]) -> tuple[Taps, None]:
        """Return the kernel."""
        del memory, image
        return parameters, None
