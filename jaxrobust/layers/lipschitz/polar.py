"""The nearest matrix with orthonormal columns or rows: Björck-Bowie iteration to tolerance, exact derivative.

``W = Q H`` with ``H`` symmetric positive definite; ``Q`` is the nearest orthogonal matrix (polar factor). The
iteration ``W <- W (3 I - W'W) / 2`` converges to it quadratically from any singular values in (0, sqrt(3))
(Björck and Bowie 1971), and its derivative needs no unrolled loop: it solves one linear equation in ``H``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxrobust.numerics import of_rank

Matrices = Float[Array, "*batch rows columns"]
Gram = Float[Array, "*batch columns columns"]

MAX_ITERATIONS = 40  # 1.5^40 > 1e7: enough for singular values of 1e-6 of the largest
N_POWER_ITERATIONS = 10
# Rows per column from which on the iteration runs on W'W, whose size does not depend on the rows.
GRAM_ASPECT = 2
MAX_CG_STEPS = 200
TOLERANCES = {4: 1e-6, 8: 1e-12}  # of the derivative's linear equation, by bytes of the dtype
HIGHEST = jax.lax.Precision.HIGHEST  # TF32 or bfloat16 products would leave singular values 1e-3 off


def product(a: Array, b: Array) -> Array:
    """Multiply matrices in the full precision of their dtype."""
    return jnp.matmul(a, b, precision=HIGHEST)


def transpose(a: Array) -> Array:
    """Swap the last two axes."""
    return jnp.swapaxes(a, -1, -2)


def at_least_float32(x: Array) -> Array:
    """Cast half precision to float32: orthogonality within 1e-4 needs it."""
    return x.astype(jnp.float32) if x.dtype in (jnp.bfloat16, jnp.float16) else x


def orthogonalize(matrices: Matrices) -> Matrices:
    """Return the nearest matrices with orthonormal columns (tall or square) or rows (wide).

    Computed in float32 at least, on every device; singular values of the result are within about 1e-6 of 1
    if those of the argument lie within a factor of 1e5, and a zero matrix stays zero. The derivative is that
    of the polar factor, so that no iteration is stored for it.

    Args:
        matrices: A matrix, or a batch that is iterated together.

    Example:
        >>> q = orthogonalize(jnp.array([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0]]))
        >>> print(jnp.round(q.T @ q, 5) + 0.0)
        [[1. 0.]
         [0. 1.]]
    """
    w = at_least_float32(matrices)
    is_wide = w.shape[-2] < w.shape[-1]
    q = _polar(transpose(w) if is_wide else w)
    return (transpose(q) if is_wide else q).astype(matrices.dtype)


def bjorck(matrices: Matrices, n_iterations: int = 20, beta: float = 0.5) -> Matrices:
    """Iterate ``W <- (1 + beta) W - beta W W'W`` a fixed number of times, as published, without scaling.

    Converges for singular values below ``sqrt(3)``. ``orthogonalize`` iterates to tolerance instead.

    Example:
        >>> [round(float(bjorck(jnp.array([[x]]))[0, 0]), 5) for x in (0.001, 1.7, 1.74)]
        [0.99994, 1.0, -1.0]
    """

    def step(_: int, w: Array) -> Array:
        return (1 + beta) * w - beta * product(w, product(transpose(w), w))

    return jax.lax.fori_loop(0, n_iterations, step, matrices)


def largest_singular_value(gram: Gram, n_iterations: int = N_POWER_ITERATIONS) -> Float[Array, "*batch"]:
    """Estimate the largest singular value of ``W`` from ``W'W`` by power iteration; never above it.

    The start is fixed, so that the same weights give the same kernel. Within a factor of ``sqrt(3)``, all
    that Björck's iteration needs, for any matrix whose top singular vector the start is not orthogonal to.
    """
    start = np.random.default_rng(0).standard_normal(gram.shape[-1])
    vector = jnp.broadcast_to(jnp.asarray(start, gram.dtype)[:, None], (*gram.shape[:-1], 1))

    def step(_: int, v: Array) -> Array:
        new = product(gram, v)
        length = jnp.linalg.norm(new, axis=-2, keepdims=True)
        return new / jnp.where(length == 0, 1, length)

    v = jax.lax.fori_loop(0, n_iterations, step, vector)
    return jnp.sqrt(jnp.linalg.norm(product(gram, v), axis=(-2, -1)))


def _tolerance(dtype: jnp.dtype) -> float:
    # The error E = W'W - I of one step is below E^2: one step from the root of the rounding ends at it.
    return float(jnp.finfo(dtype).eps) ** 0.5


def _error(almost_identity: Array) -> Array:
    identity = jnp.eye(almost_identity.shape[-1], dtype=almost_identity.dtype)
    difference = almost_identity - of_rank(identity, almost_identity.ndim)
    return jnp.max(jnp.linalg.norm(difference, axis=(-2, -1)), initial=0)


def _iterate(w: Array) -> Array:
    """Björck's iteration on the matrix itself until one more step is exact to rounding, and that step."""

    def is_far(state: tuple[Array, Array, Array]) -> Array:
        _, error, n = state
        return (error > _tolerance(w.dtype)) & (n < MAX_ITERATIONS)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        w, _, n = state
        gram = product(transpose(w), w)
        return 1.5 * w - 0.5 * product(w, gram), _error(gram), n + 1

    return jax.lax.while_loop(is_far, step, (w, jnp.asarray(jnp.inf, w.dtype), jnp.int32(0)))[0]


def _inverse_root(gram: Gram) -> Gram:
    """Iterate to ``gram^(-1/2)`` for eigenvalues in (0, 3), three small products per step.

    With ``Y = Z^(-1) ...``: ``T = (3 I - Z Y) / 2``, ``Y <- Y T``, ``Z <- T Z`` (coupled Newton-Schulz).
    """
    identity = jnp.broadcast_to(jnp.eye(gram.shape[-1], dtype=gram.dtype), gram.shape)

    def is_far(state: tuple[Array, Array, Array, Array]) -> Array:
        return (state[2] > _tolerance(gram.dtype)) & (state[3] < MAX_ITERATIONS // 2)

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        y, z, _, n = state
        both = product(z, y)
        t = 1.5 * identity - 0.5 * both
        return product(y, t), product(t, z), _error(both), n + 1

    start = (gram, identity, jnp.asarray(jnp.inf, gram.dtype), jnp.int32(0))
    return jax.lax.while_loop(is_far, step, start)[1]


@jax.custom_jvp
def _polar(w: Matrices) -> Matrices:
    gram = product(transpose(w), w)
    scale = largest_singular_value(gram)[..., None, None]
    scale = jnp.where(scale == 0, 1, scale)
    if w.shape[-2] < GRAM_ASPECT * w.shape[-1]:
        return _iterate(w / scale)
    # W'W squares the ratio of singular values, and with it rounding errors: the last steps, on the matrix
    # itself, remove them.
    return _iterate(product(w / scale, _inverse_root(gram / scale**2)))


@_polar.defjvp
def _derivative(primals: tuple[Matrices], tangents: tuple[Matrices]) -> tuple[Matrices, Matrices]:
    """``dQ = Q X + (I - Q Q') dW H^(-1)``, where ``X`` is skew and ``H X + X H = Q'dW - dW'Q``."""
    (w,), (dw,) = primals, tangents
    q = _polar(w)
    inside = product(transpose(q), dw)
    h = product(transpose(q), w)
    h, size = _normalized((h + transpose(h)) / 2)
    dw, inside = dw / size, inside / size

    skew = inside - transpose(inside)
    x = _solve_sylvester(h, skew)
    dq = product(q, (x - transpose(x)) / 2)
    if w.shape[-2] > w.shape[-1]:
        outside = dw - product(q, inside)
        # Conjugate gradients here too, no factorization: a batch of those would be a loop on a CPU.
        dq += transpose(_conjugate_gradients(lambda x: product(h, x), transpose(outside)))
    return q, dq


def _solve_sylvester(h: Gram, right: Gram) -> Gram:
    """Solve ``h x + x h = right``."""
    return _conjugate_gradients(lambda x: product(h, x) + product(x, h), right)


def _conjugate_gradients(apply: Callable[[Array], Array], right: Array) -> Array:
    """Solve ``apply(x) = right``, symmetric and positive definite, for all matrices together.

    H is close to a multiple of the identity in training, and then a few steps of one or two products each do;
    an eigendecomposition, the textbook way for the Sylvester equation, takes much longer, on GPUs above all.
    """

    def solve(apply: Callable[[Array], Array], right: Array) -> Array:
        enough = (TOLERANCES[right.dtype.itemsize] ** 2) * jnp.sum(right**2)

        def is_far(state: tuple[Array, ...]) -> Array:
            return (state[3] > enough) & (state[4] < MAX_CG_STEPS)

        def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
            x, rest, direction, squared, n = state
            image = apply(direction)
            length = squared / jnp.sum(direction * image)
            x, rest = x + length * direction, rest - length * image
            new = jnp.sum(rest**2)
            return x, rest, rest + new / squared * direction, new, n + 1

        start = (jnp.zeros_like(right), right, right, jnp.sum(right**2), jnp.int32(0))
        x, _, _, squared, _ = jax.lax.while_loop(is_far, step, start)
        return jnp.where(jnp.isnan(squared), jnp.nan, x)  # NaN is never far: it ends the loop at the start

    return jax.lax.custom_linear_solve(apply, right, solve, symmetric=True)


def _normalized(h: Gram) -> tuple[Gram, Float[Array, "*batch 1 1"]]:
    """Divide by the mean eigenvalue, and keep singular matrices (zero ones too) invertible."""
    size = jnp.trace(h, axis1=-2, axis2=-1)[..., None, None] / h.shape[-1]
    is_zero = size <= 0
    ridge = jnp.where(is_zero, 1, 4 * jnp.finfo(h.dtype).eps).astype(h.dtype)
    size = jnp.where(is_zero, 1, size)
    return h / size + ridge * of_rank(jnp.eye(h.shape[-1], dtype=h.dtype), h.ndim), size


def symmetric_projector(factor: Float[Array, "*batch n rank"]) -> Float[Array, "*batch n n"]:
    """Return ``P = P' = P^2`` of the given rank: ``Q Q'`` with ``Q = orthogonalize(factor)``.

    Example:
        >>> print(symmetric_projector(jnp.array([[2.0], [0.0]])) + 0.0)
        [[1. 0.]
         [0. 0.]]
    """
    q = orthogonalize(factor)
    return product(q, transpose(q))
