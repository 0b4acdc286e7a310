"""Spectra of the Hessian of a loss by stochastic Lanczos quadrature.

From a random vector, ``m`` Lanczos steps give a tridiagonal matrix of size ``m``. Its eigenvalues (nodes) and
the squared first components of its eigenvectors (weights) are a Gauss quadrature of the spectral density seen
from that vector; averaged over random vectors (probes) it estimates ``1/n sum_i f(lambda_i)`` (Golub & Welsch
1969; Ghorbani, Krishnan & Xiao 2019). Every new vector is made orthogonal to all before it, twice, without
which float32 gives false copies of the largest eigenvalues.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.factorizations import eigh
from jaxrobust.measures.full_set import Loss
from jaxrobust.numerics import largest, map_draws
from jaxrobust.trees import Number, Parameters, check_floats


class Spectrum(NamedTuple):
    """A quadrature of the density of eigenvalues for each probe.

    Attributes:
        nodes: Approximate eigenvalues, ascending; the outermost ones converge first.
        weights: Their share of the density; they are at least 0 and sum to 1.
    """

    nodes: Float[Array, "probes steps"]
    weights: Float[Array, "probes steps"]


def hessian_spectrum(
    loss: Loss,
    parameters: Parameters,
    key: Array,
    *,
    n_steps: int = 64,
    n_probes: int = 1,
    probes_at_once: int = 1,
) -> Spectrum:
    """Estimate the density of eigenvalues of the Hessian of ``loss`` at ``parameters``.

    Keeps ``n_steps`` vectors of the size of the parameters for each probe computed at once.

    Args:
        loss: Function of the parameters alone that can be differentiated twice, such as
            ``full_set.cross_entropy(apply, inputs, labels, batch_size=...)``.
        parameters: Any tree of floating-point arrays.
        key: PRNG key of all probes; probe ``i`` depends on it and ``i`` alone.
        n_steps: Lanczos steps; no more than there are parameters.
        n_probes: Random vectors.
        probes_at_once: Probes computed side by side.

    Raises:
        InputError: There are fewer parameters than steps, or no probe or step.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> curvature = jnp.array([1.0, 3.0])
        >>> spectrum = jr.hessian_spectrum(
        ...     lambda p: 0.5 * jnp.sum(curvature * p**2), jnp.ones(2), jax.random.key(0), n_steps=2
        ... )
        >>> [f"{node:.3f}" for node in spectrum.nodes[0]]
        ['1.000', '3.000']
    """
    check_floats(parameters, "A spectrum")
    flat, unravel = ravel_pytree(parameters)
    if not 1 <= n_steps <= flat.size:
        raise InputError(f"n_steps must be 1 to the number of parameters, {flat.size}, not {n_steps}.")
    gradient = jax.grad(lambda vector: loss(unravel(vector)))

    def times_hessian(vector: Array) -> Array:
        return jax.jvp(gradient, (flat,), (vector,))[1]

    def of_probe(probe_key: Array) -> tuple[Array, Array]:
        start = jax.random.normal(probe_key, flat.shape, flat.dtype)
        diagonal, beside = _lanczos(times_hessian, start, n_steps)
        matrix = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
        nodes, vectors = eigh(matrix)
        return nodes, vectors[0] ** 2

    return Spectrum(*map_draws(of_probe, key, n_probes, name="probes", at_once=probes_at_once))


def _lanczos(times_matrix, start: Array, n_steps: int) -> tuple[Array, Array]:
    """Diagonal and off-diagonal of the tridiagonal matrix; the last off-diagonal entry leads out of it."""

    def without(basis: Array, vector: Array) -> Array:
        return vector - basis.T @ (basis @ vector)

    def step(carry: tuple[Array, Array], index: Array):
        basis, vector = carry
        basis = basis.at[index].set(vector)
        image = times_matrix(vector)
        alpha = vector @ image
        # Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
        rest = without(basis, without(basis, image))
        beta = jnp.linalg.norm(rest)
        # Where the rest is only rounding, the space is exhausted: the matrix falls apart and zeros follow,
        # whose weights are zero as well.
        is_rounding = beta <= 10 * jnp.finfo(rest.dtype).eps * jnp.linalg.norm(image)
        beta = jnp.where(is_rounding, 0, beta)
        vector = jnp.where(is_rounding, 0, rest / jnp.where(is_rounding, 1, beta))
        return (basis, vector), (alpha, beta)

    basis = jnp.zeros((n_steps, start.size), start.dtype)
    _, (diagonal, beside) = jax.lax.scan(step, (basis, start / jnp.linalg.norm(start)), jnp.arange(n_steps))
    return diagonal, beside


def density(
    spectrum: Spectrum, eigenvalues: Float[Array, " points"], *, width: Number
) -> Float[Array, " points"]:
    """The density of eigenvalues, smoothed by a Gaussian; its integral is 1.

    Args:
        spectrum: A quadrature.
        eigenvalues: Where to evaluate.
        width: Standard deviation of the Gaussian, in the unit of the eigenvalues.
    """
    distance = (eigenvalues[:, None, None] - spectrum.nodes) / width
    bumps = jnp.exp(-(distance**2) / 2) / (width * jnp.sqrt(2 * jnp.pi).astype(distance.dtype))
    return jnp.mean(jnp.sum(bumps * spectrum.weights, axis=-1), axis=-1)


def top_eigenvalue(spectrum: Spectrum) -> Float[Array, ""]:
    """The largest eigenvalue that any probe has found, a lower bound of the true one (up to rounding).

    NaN if a probe found NaN, as in networks that overflow.
    """
    # Nodes without weight are no eigenvalues: they follow where a probe's space was exhausted.
    is_weightless = spectrum.weights <= jnp.finfo(spectrum.weights.dtype).eps ** 2
    return largest(jnp.where(is_weightless, -jnp.inf, spectrum.nodes))
