"""Factorizations of matrices that cannot block each other on a CPU.

jaxlib cuts a batch of factorizations into tasks for the threads of XLA, and the thread that asked, which is
one of them, waits. Two batches at a time on two cores, and nobody is left to do the work: a program with two
layers of this kind hangs for ever. A single matrix is factorized in the thread that asked, so on a CPU
batches are loops here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn.initializers import Initializer
from jaxtyping import Float, Inexact

Matrices = Inexact[Array, "*batch rows columns"]


def _one_by_one(factorize: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """Map a function of one array over further axes, and under ``jax.vmap``, by a loop on a CPU."""
    single = jax.custom_batching.custom_vmap(factorize)

    @single.def_vmap
    def in_turn(axis_size: int, is_batched: list[bool], batch: Array) -> tuple[Any, Any]:
        del axis_size, is_batched  # a single argument is batched, or there would be no batch
        results = jax.lax.platform_dependent(
            batch, cpu=lambda batch: jax.lax.map(single, batch), default=jax.vmap(factorize)
        )
        return results, jax.tree.map(lambda _: True, results)

    return single


def _of_matrices(factorize: Callable[[Array], Any]) -> Callable[[Array], Any]:
    single = _one_by_one(factorize)

    def of_batch(matrices: Array) -> Any:
        mapped = single
        for _ in range(matrices.ndim - 2):
            mapped = jax.vmap(mapped)
        return mapped(matrices)

    return of_batch


class SVD(NamedTuple):
    """Matrices as ``(left * values) @ right``, values falling."""

    left: Matrices
    values: Float[Array, "*batch rank"]
    right: Matrices


_inverse = _of_matrices(jnp.linalg.inv)
_svd = _of_matrices(lambda matrix: SVD(*jnp.linalg.svd(matrix, full_matrices=False)))
_eigh = _of_matrices(lambda matrix: tuple(jnp.linalg.eigh(matrix)))


@jax.custom_jvp
def inverse(matrices: Inexact[Array, "*batch n n"]) -> Inexact[Array, "*batch n n"]:
    """Invert square matrices.

    Example:
        >>> print(inverse(jnp.array([[2.0, 0.0], [0.0, 4.0]])))
        [[0.5  0.  ]
         [0.   0.25]]
    """
    return _inverse(matrices)


@inverse.defjvp
def _inverse_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    result = inverse(*primals)
    highest = jax.lax.Precision.HIGHEST
    change = jnp.matmul(jnp.matmul(result, tangents[0], precision=highest), result, precision=highest)
    return result, -change


def svd(matrices: Matrices) -> SVD:
    """Decompose matrices into singular values and vectors, as many as the shorter side; not differentiable.

    Example:
        >>> print(svd(jnp.array([[[0.0, 2.0]], [[3.0, 0.0]]])).values)
        [[2.]
         [3.]]
    """
    return _svd(matrices)


def eigh(
    matrices: Inexact[Array, "*batch n n"],
) -> tuple[Float[Array, "*batch n"], Inexact[Array, "*batch n n"]]:
    """Return eigenvalues, rising, and eigenvectors, in columns, of symmetric matrices; not differentiable.

    Example:
        >>> print(eigh(jnp.array([[2.0, 0.0], [0.0, 1.0]]))[0])
        [1. 2.]
    """
    return _eigh(matrices)


def orthogonal(scale: float = 1.0) -> Initializer:
    """Return Flax's initializer of matrices with orthonormal columns or rows, times ``scale``.

    Example:
        >>> matrix = orthogonal()(jax.random.key(0), (3, 2))
        >>> print(jnp.round(jnp.abs(matrix.T @ matrix), 5))
        [[1. 0.]
         [0. 1.]]
    """
    draw = jax.nn.initializers.orthogonal(scale)

    def of_shape(key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
        return _one_by_one(lambda key: draw(key, shape, dtype, out_sharding))(key)

    return of_shape
