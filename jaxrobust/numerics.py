"""Functions whose value or derivative needs care at zero, and the loop over random draws.

The absolute value, the root and the norms below have a derivative of 0 where the textbook one does not exist:
automatic differentiation would give NaN there, and one NaN spoils a whole gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, PyTree

from jaxrobust.errors import InputError

Result = TypeVar("Result")


def absolute(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return ``|x|`` with a derivative of 0 at 0, and second derivatives of 0.

    Example:
        >>> float(jax.grad(absolute)(0.0))
        0.0
    """
    return x * jax.lax.stop_gradient(jnp.sign(x))


def root(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return ``sqrt(x)``, and 0 with a derivative of 0 where ``x`` is not positive; NaN stays NaN.

    Example:
        >>> float(root(4.0)), float(jax.grad(root)(0.0))
        (2.0, 0.0)
    """
    is_zero = jnp.asarray(x) <= 0
    # Two `where`s: the derivative of the branch not taken would otherwise be inf, and inf * 0 is NaN.
    return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, x)))


Axis = int | tuple[int, ...] | None


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def largest(x: Float[Array, "*shape"], axis: Axis = None) -> Float[Array, "*rest"]:
    """Return ``jnp.max``, NaN where there is any; its derivative is shared by all equal ones, and finite.

    On a CPU, ``jnp.max`` of 4096 and more elements ignores NaN. The derivative of ``jnp.max`` divides by
    how many elements equal the largest: by none in programs that compute an element twice and round it in
    two ways.

    Example:
        >>> print(jax.grad(largest)(jnp.array([1.0, 2.0, 2.0])))
        [0.  0.5 0.5]
    """
    return jnp.where(jnp.any(jnp.isnan(x), axis=axis), jnp.nan, jnp.max(x, axis=axis))


@largest.defjvp
def _largest_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    top = largest(x, axis)
    is_largest = (x == jnp.expand_dims(top, range(x.ndim) if axis is None else axis)).astype(x.dtype)
    shared = jnp.sum(tangent * is_largest, axis=axis) / jnp.maximum(jnp.sum(is_largest, axis=axis), 1)
    return top, shared


def smallest(x: Float[Array, "*shape"], axis: Axis = None) -> Float[Array, "*rest"]:
    """Return ``jnp.min``, NaN where there is any; its derivative is that of ``largest``.

    Example:
        >>> print(smallest(jnp.array([[1.0, 2.0], [jnp.nan, 0.0]]), 1))
        [ 1. nan]
    """
    return -largest(-x, axis)


def norm(x: Float[Array, "..."]) -> Float[Array, ""]:
    """Return the Euclidean norm of an array, with a derivative of 0 at 0.

    Squares below 1e-45 count as zero in float32: use ``unit`` for the direction of tiny vectors.
    """
    return root(jnp.sum(x**2))


def mean_where(
    values: Float[Array, "*shape"],
    counts: Bool[Array, "*shape"] | None,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "*rest"]:
    """Return the mean of the values that count, 0 if none does; the plain mean if no mask is given.

    Example:
        >>> print(mean_where(jnp.array([1.0, 3.0, jnp.nan]), jnp.array([True, True, False])))
        2.0
    """
    if counts is None:
        return jnp.mean(values, axis=axis)
    total = jnp.sum(jnp.where(counts, values, 0), axis=axis)
    return total / jnp.maximum(jnp.sum(counts, axis=axis), 1).astype(total.dtype)


def of_rank(x: Array, ndim: int) -> Array:
    """Return ``x`` with axes of length 1 in front, ``ndim`` in all: a bias beside a batch of images.

    Example:
        >>> import jax.numpy as jnp
        >>> of_rank(jnp.ones(3), 4).shape
        (1, 1, 1, 3)
    """
    return x.reshape((1,) * (ndim - x.ndim) + x.shape)


def rows_times(x: Float[Array, "*rows in"], matrix: Float[Array, "in out"]) -> Float[Array, "*rows out"]:
    """Return ``x @ matrix``, computed as the product of two matrices however many axes ``x`` has.

    Where ``x`` has more than two axes, XLA on a CPU computes the gradient of the matrix from a transposed
    copy of the cotangent, which can cost more than the product.

    Example:
        >>> rows_times(jnp.ones((5, 4, 3)), jnp.ones((3, 2))).shape
        (5, 4, 2)
    """
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], matrix.shape[-1])


def divide(x: Float[Array, "*shape"], length: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """Return ``x / length``, and 0 where the length is 0; NaN stays NaN."""
    is_zero = length == 0
    return jnp.where(is_zero, 0, x / jnp.where(is_zero, 1, length))


def unit(tree: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
    """Return a tree divided by the Euclidean norm of all its leaves together; 0 if all of it is 0.

    Gradients of 1e-30 or 1e30 have a direction too, though their squares have none in float32: the tree is
    scaled by a power of two first, which changes no digit.

    Args:
        tree: An array or a tree of arrays; NaN counts as 0.

    Example:
        >>> [round(x, 6) for x in unit(jnp.array([3e-30, 4e-30])).tolist()]
        [0.6, 0.8]
    """
    leaves, structure = jax.tree.flatten(tree)
    if not leaves:
        return tree
    leaves = [jnp.nan_to_num(leaf) for leaf in leaves]
    largest = [jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]
    _, exponent = jnp.frexp(jnp.max(jnp.stack(largest)))
    scaled = [jnp.ldexp(leaf, -exponent).astype(leaf.dtype) for leaf in leaves]
    squared = jax.tree.reduce(jnp.add, [jnp.sum(leaf**2) for leaf in scaled])
    return jax.tree.unflatten(structure, [divide(leaf, root(squared)).astype(leaf.dtype) for leaf in scaled])


def sign(tree: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, "..."]]:
    """Return the sign of every element: -1, 0 or 1, and 0 for NaN."""
    return jax.tree.map(lambda leaf: jnp.where(jnp.isnan(leaf), 0, jnp.sign(leaf)), tree)


def map_draws(
    function: Callable[[Array], Result], key: Array, n: int, *, name: str, at_once: int = 1
) -> Result:
    """Return the results of ``n`` random draws, stacked along a first axis, in one program.

    Draw ``i`` has the key ``fold_in(key, i)``: it depends on ``key`` and ``i`` alone, whatever ``n`` and
    ``at_once`` are.

    Args:
        function: ``function(key) -> tree of arrays``.
        key: PRNG key of all draws.
        n: Number of draws, at least 1.
        name: What is drawn, in the plural, for the error.
        at_once: Draws computed side by side; 1 is fastest on a CPU, many on a GPU.

    Raises:
        InputError: ``n`` or ``at_once`` is below 1.

    Example:
        >>> map_draws(jax.random.normal, jax.random.key(0), 3, name="samples").shape
        (3,)
    """
    if n < 1 or at_once < 1:
        raise InputError(f"n_{name} and {name}_at_once must be at least 1, but they are {n} and {at_once}.")
    return jax.lax.map(
        lambda index: function(jax.random.fold_in(key, index)),
        jnp.arange(n),
        batch_size=None if at_once == 1 else at_once,
    )
