"""Values and derivatives where the textbook has none, and random draws that depend on their index alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.images import max_pool
from jaxrobust.numerics import absolute, divide, largest, map_draws, norm, root, sign, unit


@pytest.mark.parametrize(
    ("function", "x", "value", "derivative"),
    [
        (absolute, -2.0, 2.0, -1.0),
        (absolute, 0.0, 0.0, 0.0),
        (root, 4.0, 2.0, 0.25),
        (root, 0.0, 0.0, 0.0),
        (root, -1.0, 0.0, 0.0),
        (lambda x: norm(x * jnp.ones(4)), 3.0, 6.0, 2.0),
        (lambda x: norm(x * jnp.ones(4)), 0.0, 0.0, 0.0),
        (lambda x: divide(x, jnp.float32(0)), 3.0, 0.0, 0.0),
        (lambda x: divide(x, jnp.float32(2)), 3.0, 1.5, 0.5),
    ],
)
def test_value_and_derivative(function, x, value, derivative):
    assert jax.value_and_grad(function)(x) == (value, derivative)
    assert np.isfinite(jax.grad(jax.grad(function))(x))


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-37, 3e37])
def test_a_direction_does_not_depend_on_the_scale(scale):
    tree = {"a": jnp.array([3.0, 0.0]) * scale, "b": jnp.array([[-4.0]]) * scale}
    found = unit(tree)
    np.testing.assert_allclose(found["a"], [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [[-0.8]], rtol=1e-6)


def test_scaling_by_a_power_of_two_changes_no_bit():
    x = jax.random.normal(jax.random.key(0), (1000,))
    np.testing.assert_array_equal(unit(x), x / jnp.sqrt(jnp.sum(x**2)))


def test_nothing_and_no_number_have_no_direction():
    np.testing.assert_array_equal(unit(jnp.zeros(3)), 0)
    assert unit({}) == {}
    np.testing.assert_array_equal(unit(jnp.array([jnp.nan, 2.0])), [0, 1])
    np.testing.assert_array_equal(sign(jnp.array([jnp.nan, -jnp.inf, 0.0, 3.0])), [0, -1, 0, 1])
    np.testing.assert_array_equal(unit(jnp.array([jnp.inf, 2.0])), [1, 0])


def test_nan_does_not_fall_into_the_branch_for_zero():
    assert np.isnan(root(jnp.nan))
    assert np.isnan(norm(jnp.array([jnp.nan, 1.0])))
    assert np.isnan(divide(jnp.float32(1), jnp.float32(jnp.nan)))


def test_draws_depend_on_their_index_alone():
    def draw(n, at_once):
        return map_draws(jax.random.normal, jax.random.key(0), n, name="samples", at_once=at_once)

    many = draw(5, 1)
    np.testing.assert_array_equal(draw(2, 1), many[:2])
    np.testing.assert_array_equal(draw(5, 3), many)
    with pytest.raises(InputError, match="n_samples and samples_at_once must be at least 1, but they are 0"):
        draw(0, 1)


@pytest.mark.parametrize("n", [4, 24, 120])
def test_the_largest_of_numbers_and_nan_is_nan_in_arrays_of_any_size(n):
    """Where XLA's own maximum on a CPU passes over NaN, in arrays from some size on."""
    images = jnp.zeros((2, n, n, 6)).at[0, 0, 1].set(jnp.nan).at[1, 2:4, 2:4].set(jnp.nan)
    pooled = np.isnan(jax.jit(max_pool)(images))
    assert pooled[0, 0, 0].all()
    assert pooled[1, 1, 1].all()
    assert pooled.sum() == 12
    rows = jax.jit(lambda x: largest(x, -1))(images.reshape(-1, 6))
    assert np.isnan(rows).sum() == 5
    assert float(jax.jit(largest)(jnp.full((n, n), -jnp.inf))) == -np.inf
