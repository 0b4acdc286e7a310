"""Singular value clipping and masking of convolutions (SVCM, Sedghi et al. 2019), as a projection."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.factorizations import svd
from jaxrobust.path_rules import assign
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static

Taps = Float[Array, "height width channels_in channels_out"]


def clip_convolution(taps: Taps, image: tuple[int, int], bound: Number = 1.0, n_repeats: int = 50) -> Taps:
    """Clip the singular values of a circular convolution, and keep its taps, in turn.

    Both sets are projected onto in alternation; taps come last, so that the norm is a little above the bound
    (published: 1.0003 to 1.0047). Feasible taps come back within rounding.

    Args:
        taps: The kernel.
        image: Height and width of the images it is applied to.
        bound: The largest allowed singular value.
        n_repeats: Alternations; published 50.
    """
    height, width = taps.shape[:2]

    def repeat(_: int, taps: Taps) -> Taps:
        transfer = jnp.fft.rfft2(taps, image, axes=(0, 1))
        u, values, v = svd(transfer)
        # Only what is above the bound is taken away: feasible taps do not move.
        excess = jnp.maximum(values - bound, 0).astype(u.dtype)
        removed = jnp.matmul(u * excess[..., None, :], v, precision=jax.lax.Precision.HIGHEST)
        return taps - jnp.fft.irfft2(removed, image, axes=(0, 1))[:height, :width].astype(taps.dtype)

    return jax.lax.fori_loop(0, n_repeats, repeat, taps)


@settings_tree
@dataclass(frozen=True)
class SingularValuesOfConvolutions:
    """Clip the singular values of convolution kernels, such as those of ``Unconstrained`` layers.

    ``Projected(Adam(), SingularValuesOfConvolutions(clipped_images(network)), every=100)`` is published.

    Attributes:
        images: Paths (regular expressions) of the kernels, and height and width of what each is applied to.
        bound: The largest allowed singular value.
        n_repeats: Alternations per projection.
    """

    projects_start: ClassVar[bool] = True

    images: tuple[tuple[str, tuple[int, int]], ...] = static()
    bound: Number = 1.0
    n_repeats: int = static(default=50)

    def __post_init__(self):
        check_numbers(self, "bound")
        if not self.images:
            raise InputError("SingularValuesOfConvolutions has no kernels: the network has no plain ones.")

    def project(self, parameters: Parameters) -> Parameters:
        """Clip the kernels that are named.

        Raises:
            InputError: A path names no parameter, or one that is no kernel of a convolution.
        """
        images = assign((*self.images, (".*", None)), parameters)
        return jax.tree.map(self._clip, parameters, images, is_leaf=lambda leaf: leaf is None)

    def _clip(self, taps: Array | None, image: tuple[int, int] | None) -> Array | None:
        if taps is None or image is None:
            return taps
        if taps.ndim != 4:
            raise InputError(f"A kernel of a convolution has four axes, not shape {taps.shape}.")
        return clip_convolution(taps, image, self.bound, self.n_repeats)
