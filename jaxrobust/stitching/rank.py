"""What a stitching matrix holds: truncation of its singular values, and its largest entries."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.stitching.layers import Weights, kernel_of


def truncated(stitch: Weights, rank: int) -> Weights:
    """Return a copy of a stitch whose kernel has rank ``rank`` at most, with its largest singular values.

    Kernels that are not square are truncated as well; the given stitch stays as it is.

    Raises:
        InputError: The rank is negative.
    """
    if rank < 0:
        raise InputError(f"The rank of a stitch is at least 0, not {rank}.")
    kernel = np.asarray(kernel_of(stitch), np.float64)
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    kernel = (left[:, :rank] * values[:rank]) @ right[:rank]
    return {"bias": stitch["bias"], "kernel": jnp.asarray(kernel, stitch["bias"].dtype)}


def ranks(stitch: Weights, shares: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)):
    """Return the ranks of a sweep, as shares of the full one, from large to small and each once."""
    full = min(kernel_of(stitch).shape)
    return sorted({max(round(share * full), 1) for share in shares}, reverse=True)


def blockwise_largest(kernel: Float[np.ndarray, "in out"], largest: int) -> Float[np.ndarray, "rows columns"]:
    """Return a matrix of ``largest`` rows and columns at most: of each block the entry of largest magnitude.

    Raises:
        InputError: ``largest`` is not positive.

    Example:
        >>> blockwise_largest(np.array([[1.0, -2.0], [0.5, 0.0]]), 1).tolist()
        [[-2.0]]
    """
    if largest < 1:
        raise InputError(f"A matrix is reduced to at least 1 row and column, not {largest}.")
    for axis in (0, 1):
        blocks = np.array_split(kernel, min(largest, kernel.shape[axis]), axis)
        at = [np.abs(block).argmax(axis, keepdims=True) for block in blocks]
        chosen = [np.take_along_axis(block, where, axis) for block, where in zip(blocks, at, strict=True)]
        kernel = np.concatenate(chosen, axis)
    return kernel
