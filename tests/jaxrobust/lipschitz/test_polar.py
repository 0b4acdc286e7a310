"""Orthogonalization: the iteration, its accuracy and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.layers.lipschitz import bjorck, orthogonalize, symmetric_projector

pytestmark = pytest.mark.usefixtures("quick_compilation")


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def singular_values(matrices):
    return np.linalg.svd(np.asarray(matrices, np.float64), compute_uv=False)


@pytest.mark.parametrize("shape", [(64, 24), (24, 24), (3, 9, 4)])
def test_all_singular_values_become_one(shape):
    w = normal(*shape)
    q = jax.jit(orthogonalize)(w)
    np.testing.assert_allclose(singular_values(q), 1, atol=2e-6)
    u, _, v = np.linalg.svd(np.asarray(w, np.float64), full_matrices=False)
    np.testing.assert_allclose(q, u @ v, atol=2e-4)


@pytest.mark.parametrize(
    "shape",
    [
        (600, 80),
        pytest.param((4096, 512), marks=pytest.mark.slow),
        pytest.param((512, 4096), marks=pytest.mark.slow),
    ],
)
def test_a_large_dense_matrix_by_its_gram_form(shape):
    w = normal(*shape) * 0.01
    np.testing.assert_allclose(singular_values(jax.jit(orthogonalize)(w)), 1, atol=1e-5)


def test_singular_values_of_very_different_size():
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, 8)))[0] for n in (8, 8))
    for rows in (8, 40):  # directly, and by the Gram form
        left = u if rows == 8 else np.linalg.qr(rng.standard_normal((rows, 8)))[0]
        w = jnp.float32(left * np.geomspace(1, 1e-3, 8) @ v.T)
        np.testing.assert_allclose(singular_values(jax.jit(orthogonalize)(w)), 1, atol=1e-5)


def test_a_wide_matrix_is_the_transpose_of_a_tall_one():
    w = normal(12, 5)
    compiled = jax.jit(orthogonalize)
    np.testing.assert_allclose(compiled(w.T), compiled(w).T, atol=1e-6)


def test_the_published_iteration():
    values = [float(bjorck(jnp.array([[x]]))[0, 0]) for x in (0.001, 1.7, 1.74)]
    np.testing.assert_allclose(values, [0.99994, 1, -1], atol=1e-5)


# The last one by the Gram form.
@pytest.mark.parametrize(
    "shape", [(3, 7), *(pytest.param(shape, marks=pytest.mark.slow) for shape in ((5, 5), (4, 6), (12, 4)))]
)
def test_the_derivative_is_that_of_the_polar_factor(shape):
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        w, weights, along = (jnp.asarray(rng.standard_normal(shape)) for _ in range(3))

        @jax.jit
        def loss(w):
            return jnp.sum(jnp.sin(orthogonalize(w)) * weights)

        slope = jnp.sum(jax.grad(loss)(w) * along)
        step = 1e-6
        np.testing.assert_allclose(
            slope, (loss(w + step * along) - loss(w - step * along)) / (2 * step), 1e-5
        )
        np.testing.assert_allclose(jax.jvp(loss, (w,), (along,))[1], slope, rtol=1e-8)


def test_zero_stays_finite():
    sum_and_slope = jax.jit(jax.value_and_grad(lambda w: jnp.sum(orthogonalize(w))))
    value, gradient = sum_and_slope(jnp.zeros((6, 2)))
    assert value == 0
    assert np.isfinite(gradient).all()


def test_computed_in_float32_whatever_the_dtype():
    q = jax.jit(orthogonalize)(normal(16, 8).astype(jnp.bfloat16))
    assert q.dtype == jnp.bfloat16
    np.testing.assert_allclose(singular_values(q), 1, atol=1e-2)


@pytest.mark.parametrize("n", [7, pytest.param(8, marks=pytest.mark.slow)])
def test_projectors_are_symmetric_and_have_their_rank(n):
    p = jax.jit(symmetric_projector)(normal(n, n // 2))
    np.testing.assert_allclose(p, p.T, atol=1e-6)
    np.testing.assert_allclose(p @ p, p, atol=1e-5)
    assert np.trace(p) == pytest.approx(n // 2, abs=1e-4)


def test_no_lapack_within_threads_of_xla():
    # Several small factorizations at once take OpenBLAS a hundred times as long, or stall.
    def loss(w):
        return jnp.sum(jnp.sin(orthogonalize(w)))

    program = jax.jit(jax.grad(loss)).lower(normal(3, 9, 4)).compile().as_text()
    assert "while" in program
    assert 'custom_call_target="lapack' not in program


def test_a_derivative_that_is_not_a_number_is_not_lost():
    w = normal(9, 4)
    _, back = jax.vjp(orthogonalize, w)
    assert jnp.isfinite(back(jnp.ones((9, 4)))[0]).all()
    assert jnp.isnan(back(jnp.ones((9, 4)).at[2, 1].set(jnp.nan))[0]).all()
