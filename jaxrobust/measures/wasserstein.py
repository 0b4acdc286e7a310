"""Wasserstein-1 distances from critics: estimates on held-out samples, divided by the critic's constant.

``W1(P, Q) = sup E_P f - E_Q f`` over 1-Lipschitz f. A critic with constant L gives the lower bound
``(E_P f - E_Q f) / L`` up to the error of sampling, if its samples are not those it was trained on.
Pairs of distributions whose distance is known check critics.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxrobust.criteria import Labels, Outputs, Scores
from jaxrobust.errors import InputError
from jaxrobust.numerics import unit
from jaxrobust.trees import check_finite, settings_tree

Samples = Float[Array, "samples ..."]


class Pair(Protocol):
    """Two distributions to sample from; a frozen dataclass.

    Attributes:
        shape: Shape of one sample.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    def sample(self, key: Array, n: int) -> tuple[Samples, Samples]:
        """Draw ``n`` samples of each."""
        ...


@dataclass(frozen=True)
class ShiftedGaussians:
    """Two standard normal distributions, one shifted by ``distance``: that is their Wasserstein distance.

    Attributes:
        shape: Shape of one sample.
        distance: Length of the shift, equal in all elements.
        spread: Standard deviation of both.
    """

    shape: tuple[int, ...] = (8, 8, 1)
    distance: float = 3.0
    spread: float = 1.0

    def sample(self, key: Array, n: int) -> tuple[Samples, Samples]:
        """Draw both independently."""
        keys = jax.random.split(key)
        one, other = (self.spread * jax.random.normal(k, (n, *self.shape)) for k in keys)
        return one + self.distance / float(np.prod(self.shape)) ** 0.5, other


@dataclass(frozen=True)
class PointAndSphere:
    """A point and the uniform distribution on the sphere around it: their distance is the radius.

    The best critic is the distance from the point, a cone, which needs more than a plane.

    Attributes:
        shape: Shape of one sample.
        distance: The radius.
    """

    shape: tuple[int, ...] = (8, 8, 1)
    distance: float = 3.0

    def sample(self, key: Array, n: int) -> tuple[Samples, Samples]:
        """Draw the sphere; the point is at zero."""
        sphere = self.distance * jax.vmap(unit)(jax.random.normal(key, (n, *self.shape)))
        return sphere, jnp.zeros_like(sphere)


@settings_tree
@dataclass(frozen=True)
class EstimatedDistance:
    """What a critic and a generator train on, if outputs say how much higher real samples are valued.

    The criterion of a ``GenerativePair``, which compares each sample with generated ones: the loss is minus
    the mean output, the metric the mean. Labels do not matter, so that any data set will do.
    """

    is_classification: ClassVar[bool] = False

    def loss(self, outputs: Outputs, labels: Labels) -> Float[Array, ""]:
        """Minus the estimate, not divided by the critic's constant."""
        return -jnp.mean(outputs)

    def score(self, outputs: Outputs, labels: Labels) -> Scores:
        """How much higher the critic values each sample."""
        return outputs.reshape(outputs.shape[0])


class WassersteinEstimate(NamedTuple):
    """A lower bound of a distance, up to sampling.

    Attributes:
        distance: ``(E_P f - E_Q f) / L``.
        standard_error: Of the mean over the samples, divided by L as well.
    """

    distance: float
    standard_error: float


def wasserstein_estimate(
    real: Float[np.ndarray, " samples"], generated: Float[np.ndarray, " others"], constant: float
) -> WassersteinEstimate:
    """Estimate a distance from a critic's values on held-out samples.

    Args:
        real: Values on samples of P.
        generated: Values on samples of Q.
        constant: The critic's Lipschitz constant; a critic scaled by a factor gives the same estimate.

    Raises:
        InputError: The constant is not positive or not finite, a value is not finite, or there are fewer than
            two samples of either.

    Example:
        >>> wasserstein_estimate(np.array([3.0, 3.0]), np.array([1.0, 1.0]), 2.0)
        WassersteinEstimate(distance=1.0, standard_error=0.0)
    """
    if not 0 < constant < np.inf:
        raise InputError(
            f"A Lipschitz constant is a positive number, not {constant!r}; did training diverge?"
        )
    values = [np.asarray(v, np.float64).reshape(-1) for v in (real, generated)]
    if min(map(len, values)) < 2:
        raise InputError("A standard error needs at least two samples of each distribution.")
    check_finite(values, "The values of the critic")
    difference = values[0].mean() - values[1].mean()
    error = sum(v.var(ddof=1) / len(v) for v in values) ** 0.5
    return WassersteinEstimate(float(difference / constant), float(error / constant))
