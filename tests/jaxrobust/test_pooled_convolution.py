"""The accelerator's form of convolution, bias, ReLU and pooling against the plain one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.layers.images import convolve, max_pool
from jaxrobust.layers.pooled_convolution import convolve_and_pool, pool_first

CASES = {
    "one channel, padded": ((3, 9, 8, 1), (4, 4, 1, 5), ((2, 1), (2, 1))),
    "many channels, odd": ((2, 9, 11, 6), (3, 4, 6, 5), ((0, 0), (0, 0))),
    "a kernel of one pixel": ((2, 6, 6, 3), (1, 1, 3, 4), ((0, 0), (0, 0))),
}


def draw(name):
    images, kernel, padding = CASES[name]
    keys = jax.random.split(jax.random.key(1), 4)
    arrays = [jax.random.normal(k, s) for k, s in zip(keys, (images, kernel, kernel[3:]), strict=False)]
    return (*arrays, padding), keys[3]


def reference(x, kernel, bias, padding):
    return max_pool(jax.nn.relu(convolve(x, kernel, padding=padding) + bias))


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_one_after_the_other(name):
    (x, kernel, bias, padding), key = draw(name)
    weights = jax.random.normal(key, reference(x, kernel, bias, padding).shape)

    def of(function):
        loss = lambda x, k, b: jnp.sum(weights * function(x, k, b, padding))  # noqa: E731
        return jax.value_and_grad(loss, (0, 1, 2))(x, kernel, bias)

    expected, found = of(reference), of(pool_first)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), expected, found)


def test_a_tie_sends_its_gradient_once():
    flat, kernel = jnp.ones((1, 4, 4, 1)), jnp.full((1, 1, 1, 1), 2.0)
    gradient = jax.grad(lambda x: jnp.sum(pool_first(x, kernel, jnp.zeros(1), ((0, 0), (0, 0)))))(flat)
    assert gradient.sum() == 4 * 2.0
    assert np.count_nonzero(gradient) == 4


def test_on_a_cpu_nothing_changes():
    (x, kernel, bias, padding), _ = draw("one channel, padded")
    np.testing.assert_array_equal(
        convolve_and_pool(x, kernel, bias, padding=padding), reference(x, kernel, bias, padding)
    )
