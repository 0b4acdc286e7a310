"""Direct matching: the affine map closest to another network's activations, in closed form."""

from collections.abc import Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Variables
from jaxrobust.networks.taps import Taps
from jaxrobust.stitching.layers import LowRank, Weights
from jaxrobust.stitching.stitched import Cut, Stitched

# Eigenvalues of the correlation matrix below this share of the largest count as zero: constant or repeated
# channels get no weight, as with a pseudo-inverse.
SMALLEST_EIGENVALUE = 1e-11


class NormalEquations:
    """Sums over rows ``x`` and ``y`` from which ``min_W,b |x W + b - y|^2`` is solved, in float64.

    Memory depends on the numbers of channels alone. Sums of squares are about a fixed point, the mean of the
    first rows, so that little is lost to cancellation.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, sums = rng.standard_normal((50, 3)), NormalEquations()
        >>> for part in np.split(x, 5):
        ...     sums.add(part, part @ np.diag([1.0, 2.0, 3.0]) + 1)
        >>> sums.solve()[0].round(6).tolist()
        [[1.0, -0.0, 0.0], [0.0, 2.0, 0.0], [-0.0, 0.0, 3.0]]
    """

    def __init__(self) -> None:
        self.n = 0
        self._origin: Float64[np.ndarray, " both"] = np.zeros(0)
        self._sum: Float64[np.ndarray, " both"] = np.zeros(0)
        self._products: Float64[np.ndarray, "both both"] = np.zeros((0, 0))
        self._n_in = 0

    def add(self, x: Float[np.ndarray, "rows in"], y: Float[np.ndarray, "rows out"]) -> None:
        """Add rows.

        Raises:
            InputError: ``x`` and ``y`` do not have as many rows, or other sizes than the rows before.
        """
        if len(x) != len(y):
            raise InputError(f"Matching needs as many rows of either network, not {len(x)} and {len(y)}.")
        both = np.concatenate([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
        if not self.n:
            self._origin, self._n_in = both.mean(0), x.shape[1]
            self._sum, self._products = np.zeros(both.shape[1]), np.zeros((both.shape[1],) * 2)
        if both.shape[1] != len(self._origin):
            raise InputError(f"Rows have {both.shape[1]} channels in all, those before {len(self._origin)}.")
        both -= self._origin
        self.n += len(both)
        self._sum += both.sum(0)
        self._products += both.T @ both

    def solve(self) -> tuple[Float64[np.ndarray, "in out"], Float64[np.ndarray, " out"]]:
        """Return the kernel of smallest norm (of standardized channels) among the closest ones, and the bias.

        Raises:
            InputError: No rows were added.
        """
        mean, covariance = self._moments()
        n = self._n_in
        scale = np.sqrt(np.diagonal(covariance)[:n])
        # A channel that is constant up to rounding has no direction of its own.
        alive = scale > 1e-7 * np.maximum(np.abs(mean[:n]), scale.max(initial=0))
        inverse = np.divide(1.0, scale, out=np.zeros(n), where=alive)
        correlation = covariance[:n, :n] * inverse[:, None] * inverse
        values, vectors = np.linalg.eigh(correlation)
        kept = values > SMALLEST_EIGENVALUE * values.max(initial=0)
        vectors = vectors[:, kept] / np.sqrt(values[kept])
        kernel = inverse[:, None] * (vectors @ (vectors.T @ (inverse[:, None] * covariance[:n, n:])))
        return kernel, mean[n:] - mean[:n] @ kernel

    def correlations(self) -> Float64[np.ndarray, "in out"]:
        """Return Pearson's correlation of every channel of x with every one of y; 0 for constant ones.

        Raises:
            InputError: No rows were added.
        """
        _, covariance = self._moments()
        n, deviations = self._n_in, np.sqrt(np.diagonal(covariance))
        scale = np.outer(deviations[:n], deviations[n:])
        return np.divide(covariance[:n, n:], scale, out=np.zeros_like(scale), where=scale > 1e-14)

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.n:
            raise InputError("Matching needs samples; none were added.")
        shift = self._sum / self.n
        return self._origin + shift, self._products / self.n - np.outer(shift, shift)


def match(
    stitched: Stitched,
    front: Variables,
    end: Variables,
    inputs: Float[Array, "samples ..."],
    *,
    batch_size: int = 500,
) -> Weights:
    """Compute the layer that maps the front's activations as closely as possible to the end's own.

    Args:
        stitched: The stitched network; its donors' activations are those without dropout and with running
            statistics.
        front: The front network's variables.
        end: The end network's.
        inputs: Training data; measure the result on other data.
        batch_size: Samples computed at once.

    Returns:
        Parameters of the layer, for ``stitched.join``; of a low-rank layer, the closest map of its rank.
    """
    kernel, bias = activation_sums(stitched, front, end, inputs, batch_size=batch_size).solve()
    if isinstance(stitched.layer, LowRank):
        # For uncorrelated outputs this is reduced-rank regression; in general it is the truncated solution.
        left, values, right = np.linalg.svd(kernel, full_matrices=False)
        rank = stitched.layer.rank
        root = np.sqrt(values[:rank])
        parts = {"bias": bias, "down": left[:, :rank] * root, "up": root[:, None] * right[:rank]}
    else:
        parts = {"bias": bias, "kernel": kernel}
    return {name: jnp.asarray(part, jnp.float32) for name, part in parts.items()}


def activation_sums(
    stitched: Stitched,
    front: Variables,
    end: Variables,
    inputs: Float[Array, "samples ..."],
    *,
    batch_size: int = 500,
) -> NormalEquations:
    """Sum over the activations of both donors at the cut, as ``match`` and the masks need them."""
    sums = NormalEquations()
    for h, own in activation_pairs(
        stitched.front, stitched.end, stitched.cut, front, end, inputs, batch_size
    ):
        x = np.asarray(stitched.layer.rows(h, stitched.shapes[1]))
        sums.add(x, np.asarray(stitched.layer.targets(own)))
    return sums


def activation_pairs(
    front: Network,
    end: Network,
    cut: Cut,
    front_variables: Variables,
    end_variables: Variables,
    inputs: Float[Array, "samples ..."],
    batch_size: int,
) -> Iterable[tuple[Float[Array, "batch ..."], Float[Array, "batch ..."]]]:
    """Yield the activations of two networks at a cut, batch by batch."""
    for first in range(0, len(inputs), batch_size):
        batch = inputs[first : first + batch_size]
        yield (
            _activations(front, cut.front, front_variables, batch),
            _activations(end, cut.end, end_variables, batch),
        )


@partial(jax.jit, static_argnames=("network", "position"))
def _activations(
    network: Network, position: str, variables: Variables, inputs: Float[Array, "batch ..."]
) -> Float[Array, "batch ..."]:
    return network.forward(*variables, inputs, tap=Taps(record=(position,))).activations[position]


def squared_distance(
    stitched: Stitched,
    variables: Variables,
    inputs: Float[Array, "samples ..."],
    *,
    batch_size: int = 500,
) -> float:
    """Return the mean squared difference between what the end gets and its own activations.

    Far above that of the direct match, it warns that a stitch trained on the task leaves the end's own
    distribution: its accuracy then says little of how alike the representations are.
    """
    end = Variables(variables.parameters["end"], variables.statistics["end"])
    total, n = 0.0, 0
    for first in range(0, len(inputs), batch_size):
        batch = inputs[first : first + batch_size]
        given = _activations(stitched, "stitch", variables, batch)
        own = _activations(stitched.end, stitched.cut.end, end, batch)
        total += float(jnp.sum((given - own) ** 2))
        n += given.size
    if not n:
        raise InputError("A distance of activations needs samples; none were given.")
    return total / n
