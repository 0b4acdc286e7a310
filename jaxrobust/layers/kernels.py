"""Parameterized kernels: kernels computed from other parameters.

At the place of a kernel in a tree of parameters stands either an array or a subtree from which a function
makes the array. A layer that reads its kernel through ``make_kernel`` takes both, so that a network can be
*baked*: every subtree is replaced by its kernel, and forward passes no longer compute it.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array
from jaxtyping import Float, PyTree


def make_kernel(
    kernel: Array | PyTree[Array], make: Callable[[Any], Float[Array, "..."]]
) -> Float[Array, "..."]:
    """Return ``make(kernel)`` for a subtree of parameters, and an array (a baked kernel) unchanged.

    Example:
        >>> import jax.numpy as jnp
        >>> make_kernel({"v": jnp.ones(2), "scale": 3.0}, lambda p: p["scale"] * p["v"])
        Array([3., 3.], dtype=float32)
        >>> make_kernel(jnp.ones(2), lambda p: p["scale"] * p["v"])
        Array([1., 1.], dtype=float32)
    """
    return kernel if is_baked(kernel) else make(kernel)


def is_baked(kernel: Array | PyTree[Array]) -> bool:
    """Tell whether an array stands at the place of a kernel, not a subtree that makes one."""
    return jax.tree_util.all_leaves([kernel])
