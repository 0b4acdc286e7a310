"""Estimates of Wasserstein distances, and critics on pairs whose distance is known."""

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.measures.wasserstein import PointAndSphere, ShiftedGaussians, wasserstein_estimate
from jaxrobust.studies.lipschitz.critics import critic_distance, critics

RNG = np.random.default_rng(0)


def test_a_scaled_critic_gives_the_same_estimate():
    real, generated = RNG.standard_normal(100) + 2, RNG.standard_normal(50)
    one = wasserstein_estimate(real, generated, 1.0)
    other = wasserstein_estimate(1.6 * real, 1.6 * generated, 1.6)
    np.testing.assert_allclose(one, other)
    error = (real.var(ddof=1) / 100 + generated.var(ddof=1) / 50) ** 0.5
    np.testing.assert_allclose(one, (real.mean() - generated.mean(), error))


@pytest.mark.parametrize(("n", "constant"), [(10, 0.0), (1, 1.0)])
def test_what_cannot_be_estimated_is_refused(n, constant):
    with pytest.raises(InputError):
        wasserstein_estimate(np.ones(n), np.zeros(n), constant)


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
