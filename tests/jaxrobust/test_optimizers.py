"""Optimizers on a quadratic bowl, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.training.optimizers import (
    SGD,
    Adam,
    BlockCoordinateDescent,
    EntropySGD,
    Evaluation,
    Projected,
    WeightClipping,
)
from jaxrobust.training.optimizers.block_coordinate import random_half
from jaxrobust.training.optimizers.entropy_sgd import EntropyMemory

KEY = jax.random.key(5)
CURVATURE = np.array([[1.0, 0.5, 2.0], [0.3, 1.5, 0.7]])
START = {"w": np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])}


@pytest.fixture(autouse=True)
def _in_double():
    with jax.enable_x64(True):
        yield


def bowl(parameters, key):
    del key
    w = parameters["w"]
    return Evaluation(0.5 * jnp.sum(CURVATURE * w**2), jnp.sum(w)[None, None], {"w": CURVATURE * w})


def steps(optimizer, n, rate=0.1):
    """Parameters after each step, and what the optimizer remembers at the end."""
    parameters = jax.tree.map(jnp.asarray, START)
    memory, seen = optimizer.init(parameters), []
    take = jax.jit(lambda p, m, k: optimizer.step(bowl, p, m, rate, k)[:2])
    for i in range(n):
        parameters, memory = take(parameters, memory, jax.random.key(i))
        seen.append(np.asarray(parameters["w"]))
    return seen, memory


def test_nesterov_momentum_with_weight_decay():
    w, m = START["w"], 0
    for found in steps(SGD(momentum=0.9, nesterov=True, weight_decay=0.01), 4)[0]:
        g = CURVATURE * w + 0.01 * w
        m = 0.9 * m + g
        w = w - 0.1 * (g + 0.9 * m)
        np.testing.assert_allclose(found, w, rtol=1e-12)


def test_adam():
    w, mean, square = START["w"], 0, 0
    for t, found in enumerate(steps(Adam(), 4)[0], start=1):
        g = CURVATURE * w
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        w = w - 0.1 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(found, w, rtol=1e-9)


def test_entropy_sgd_and_its_scope():
    """Without noise, written out in NumPy; the scope grows from step to step."""
    optimizer = EntropySGD(noise=0.0, scope=2.0, scope_growth=0.5, n_langevin=4)
    found, memory = steps(optimizer, 4)
    assert memory.n_steps == 4
    w, outer = START["w"], 0
    for t in range(4):
        gamma = 2.0 * 1.5**t
        x, mu, m = w, w, 0
        for _ in range(4):
            g = CURVATURE * x
            m = 0.9 * m + g
            x = x - 0.1 * (g + 0.9 * m - gamma * (w - x))
            mu = 0.75 * mu + 0.25 * x
        outer = 0.9 * outer + (w - mu)
        w = w - 0.1 * ((w - mu) + 0.9 * outer)
        np.testing.assert_allclose(found[t], w, rtol=1e-12)
    constant, _ = steps(EntropySGD(noise=0.0, scope=2.0, scope_growth=0.0, n_langevin=4), 4)
    np.testing.assert_allclose(constant[0], found[0], rtol=1e-12)
    assert np.abs(constant[1] - found[1]).max() > 1e-4


def test_entropy_sgd_comes_to_rest_however_long_it_runs():
    optimizer = EntropySGD(noise=0.0)
    parameters = jax.tree.map(jnp.asarray, START)
    memory = EntropyMemory(jax.tree.map(jnp.zeros_like, parameters), jnp.int32(20_000))
    take = jax.jit(lambda p, m: optimizer.step(bowl, p, m, 0.1, jax.random.key(0))[:2])
    for _ in range(200):
        parameters, memory = take(parameters, memory)
    assert np.abs(parameters["w"]).max() < 1e-2


@pytest.mark.parametrize(("t", "gamma"), [(0, 0.01), (3000, 0.01 * 1.001**3000), (20_000, 10.0)])
def test_the_scope_of_entropy_sgd_grows_to_its_limit(t, gamma):
    optimizer = EntropySGD(noise=0.0, averaging=0.0, momentum=0.0, n_langevin=2)
    parameters = {"w": jnp.asarray(START["w"])}
    memory = EntropyMemory(jax.tree.map(jnp.zeros_like, parameters), jnp.int32(t))
    found = optimizer.step(bowl, parameters, memory, 1.0, jax.random.key(0)).parameters["w"]
    w, x = START["w"], START["w"]
    for _ in range(2):
        x = x - 0.1 * (CURVATURE * x - gamma * (w - x))
    np.testing.assert_allclose(found, x, rtol=1e-5)


def test_entropy_sgd_noise_has_the_published_size():
    optimizer = EntropySGD(noise=1.0, scope=0.0, n_langevin=1, averaging=0.0, momentum=0.0)
    flat = jnp.zeros(20_000)
    step = jax.jit(
        lambda key: optimizer.step(
            lambda p, k: Evaluation(jnp.float64(0), p["w"][None, :1], {"w": jnp.zeros_like(p["w"])}),
            {"w": flat},
            optimizer.init({"w": flat}),
            1.0,
            key,
        )
    )(KEY)
    assert np.std(step.parameters["w"]) == pytest.approx(0.1 / np.sqrt(0.05), rel=0.02)


def test_block_coordinate_descent_stays_in_its_box():
    optimizer = BlockCoordinateDescent(ascent_rate=0.3, size=0.2)
    parameters = jax.tree.map(jnp.asarray, START)
    gradient = bowl(parameters, KEY).gradient
    everywhere = {"w": np.ones((2, 3), bool)}
    raised = optimizer.ascend(parameters, gradient, everywhere)["w"]
    free = START["w"] + 0.3 * np.asarray(gradient["w"])
    radius = 0.2 * np.abs(START["w"])
    np.testing.assert_allclose(raised, np.clip(free, START["w"] - radius, START["w"] + radius))
    assert (np.abs(free - START["w"]) > radius).any()


def test_block_coordinate_descent_raises_one_half_and_lowers_the_other():
    optimizer = BlockCoordinateDescent(ascent_rate=0.3, size=0.2, n_cycles=2)
    (found,), _ = steps(optimizer, 1)
    w, mean, square = START["w"], 0, 0
    for t, key in enumerate(jax.random.split(jax.random.key(0), 2), start=1):
        mask = np.asarray(random_half(jax.random.split(key, 3)[0], START)["w"])
        assert 0 < mask.sum() < mask.size
        radius = 0.2 * np.abs(w)
        raised = np.where(mask, w + np.clip(0.3 * CURVATURE * w, -radius, radius), w)
        g = CURVATURE * raised
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        adam = (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        w = np.where(mask, raised, raised - 0.1 * adam)
    np.testing.assert_allclose(found, w, rtol=1e-9)


def test_weights_are_clipped_around_their_mean():
    clipped, _ = steps(Projected(SGD(), WeightClipping(alpha=1.2)), 1)
    plain, _ = steps(SGD(), 1)
    mean, reach = plain[0].mean(), 1.2 * plain[0].std()
    np.testing.assert_allclose(clipped[0], np.clip(plain[0], mean - reach, mean + reach), rtol=1e-12)
    assert np.abs(clipped[0] - plain[0]).max() > 0.1
    biases = jnp.array([0.0, 0.0, 9.0])
    np.testing.assert_array_equal(WeightClipping(alpha=0.1).project(biases), biases)
