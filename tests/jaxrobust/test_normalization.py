"""Batch normalization against numbers worked out by hand, and the Linen layer around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.linen import Normalization
from jaxrobust.layers.normalization import BatchNorm

# Three batches of two values of one channel: means 2, 3, 10; biased variances 1, 1, 4; unbiased 2, 2, 8.
BATCHES = [np.float32([[a], [b]]) for a, b in ((1, 3), (2, 4), (8, 12))]


@pytest.mark.parametrize(
    ("variance", "expected"),
    [
        ("biased", 0.729 + 0.081 * 1 + 0.09 * 1 + 0.1 * 4),
        ("unbiased", 0.729 + 0.081 * 2 + 0.09 * 2 + 0.1 * 8),
    ],
)
def test_three_steps_by_hand(variance, expected):
    norm = BatchNorm(variance=variance)
    running = norm.init(1)
    for batch in BATCHES:
        y, running = norm(batch, running, training=True)
    np.testing.assert_allclose(y[:, 0], [-1, 1], atol=1e-5)  # by the biased variance in either case
    np.testing.assert_allclose(running.mean, [0.1 * (0.81 * 2 + 0.9 * 3 + 10)], rtol=1e-6)
    np.testing.assert_allclose(running.variance, [expected], rtol=1e-6)
    tested, same = norm(BATCHES[0], running, training=False)
    assert same is running
    np.testing.assert_allclose(
        tested, (BATCHES[0] - running.mean) / np.sqrt(running.variance + 1e-5), rtol=1e-5
    )


def test_momentum_and_epsilon_are_settings():
    norm = BatchNorm(momentum=1.0, epsilon=3.0)
    y, running = norm(BATCHES[0], norm.init(1), training=True)
    np.testing.assert_allclose(y[:, 0], [-0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(running, [[2.0], [1.0]])
    one_value, running = BatchNorm(variance="unbiased")(BATCHES[0][:1], norm.init(1), training=True)
    assert one_value == 0
    np.testing.assert_allclose(running.variance, [0.9], rtol=1e-6)


@pytest.mark.parametrize(
    "settings", [{"momentum": 1.5}, {"momentum": -0.1}, {"epsilon": -1.0}, {"variance": "median"}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError):
        BatchNorm(**settings)


def test_the_linen_layer_scales_and_remembers():
    norm = BatchNorm(variance="unbiased")
    layer = Normalization(norm)
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 2)) + 1
    variables = layer.init(jax.random.key(0), x, training=True)
    start = norm.init(2)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], start.mean)
    parameters = {"scale": jnp.array([2.0, 3.0]), "offset": jnp.array([0.5, -1.0])}
    y, new = layer.apply({**variables, "params": parameters}, x, training=True, mutable=["batch_stats"])
    expected, running = norm(x, start, training=True)
    np.testing.assert_allclose(y, expected * parameters["scale"] + parameters["offset"], rtol=1e-6)
    np.testing.assert_array_equal(new["batch_stats"]["mean"], running.mean)
    np.testing.assert_array_equal(new["batch_stats"]["variance"], running.variance)
    np.testing.assert_allclose(layer.apply(variables, x, training=False), x, rtol=1e-4)
