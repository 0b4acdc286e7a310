"""Estimates of Wasserstein distances, and critics on pairs whose distance is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.certificates.lipschitz import lipschitz_bound
from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import Chain, MaxMin, OrthogonalDense, ReLU
from jaxrobust.measures.wasserstein import PointAndSphere, ShiftedGaussians, wasserstein_estimate
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.studies.lipschitz.critics import critic_distance, critics, train_critic

RNG = np.random.default_rng(0)


def test_a_scaled_critic_gives_the_same_estimate():
    real, generated = RNG.standard_normal(100) + 2, RNG.standard_normal(50)
    one = wasserstein_estimate(real, generated, 1.0)
    other = wasserstein_estimate(1.6 * real, 1.6 * generated, 1.6)
    np.testing.assert_allclose(one, other)
    error = (real.var(ddof=1) / 100 + generated.var(ddof=1) / 50) ** 0.5
    np.testing.assert_allclose(one, (real.mean() - generated.mean(), error))


@pytest.mark.parametrize(
    ("real", "constant", "says"),
    [
        (np.ones(10), 0.0, "positive number, not 0.0"),
        (np.ones(10), np.inf, "positive number, not inf; did training diverge"),
        (np.ones(10), np.nan, "positive number, not nan"),
        (np.ones(1), 1.0, "at least two samples"),
        (np.array([1.0, np.nan]), 1.0, "values of the critic hold 1 numbers that are NaN"),
    ],
)
def test_what_cannot_be_estimated_is_refused(real, constant, says):
    with pytest.raises(InputError, match=says) as error:
        wasserstein_estimate(real, np.zeros(len(real)), constant)
    assert "\n" not in str(error.value)


MAXMIN, RELU = (MaxMin(), 0.99, 1 + 1e-5), (ReLU(), 0.4, 0.65)


@pytest.mark.parametrize(
    ("activation", "least", "most", "width", "depth", "n_steps", "rate"),
    [
        (*MAXMIN, 16, 2, 300, 3e-3),
        (*RELU, 16, 2, 300, 3e-3),
        pytest.param(*MAXMIN, 64, 3, 1500, 1e-3, marks=pytest.mark.slow),
        pytest.param(*RELU, 64, 3, 1500, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_a_cone_in_one_dimension_needs_an_activation_that_preserves_gradients(
    activation, least, most, width, depth, n_steps, rate
):
    """The distance of zero from plus or minus one is 1, and its critic is the absolute value."""
    hidden = [layer.clone() for _ in range(depth) for layer in (OrthogonalDense(width), activation)]
    network = LinenNetwork(Chain((*hidden, OrthogonalDense(1))), (1,))
    pair, key = PointAndSphere((1,), 1.0), jax.random.key(0)
    (parameters, statistics), _ = train_critic(network, pair, key, jnp.float32(rate), n_steps, 64)
    baked = jax.jit(network.bake)(parameters, statistics)
    ends = network.forward(baked, statistics, jnp.array([[-1.0], [0.0], [1.0]])).logits[:, 0]
    estimate = (ends[0] + ends[2]) / 2 - ends[1]
    assert least <= estimate / lipschitz_bound(network, baked).constant <= most


@pytest.mark.slow
def test_the_distance_of_shifted_gaussians():
    (point,) = critics([ShiftedGaussians()], ["BCOP"], ("maxmin",))
    found = critic_distance(point)
    assert found["constant"] == pytest.approx(1, abs=1e-5)
    assert 2.85 <= found["distance"] <= 3.05
    assert found["standard_error"] < 0.05


@pytest.mark.slow
def test_the_order_of_critics_on_a_sphere():
    grid = critics([PointAndSphere()], ["BCOP", "RKO"])
    found = {(p["parameterization"], p["activation"]): critic_distance(p) for p in grid}
    distances = {name: each["distance"] for name, each in found.items()}
    assert all(distance <= 3 for distance in distances.values())
    assert distances["BCOP", "maxmin"] >= 2.5
    assert distances["BCOP", "maxmin"] > distances["RKO", "maxmin"] > distances["RKO", "relu"]
    assert distances["BCOP", "maxmin"] > distances["BCOP", "relu"]
