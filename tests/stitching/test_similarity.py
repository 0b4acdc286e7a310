"""CKA, Procrustes and agreement against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.measures.agreement import agreement, cross_entropy_to, hit_overlap
from jaxrobust.measures.cka import CkaSums, debiased_cka, linear_cka, procrustes

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6)).astype(np.float32)
Y = (X @ RNG.standard_normal((6, 5)) + RNG.standard_normal((40, 5))).astype(np.float32)
ROTATION = np.linalg.qr(RNG.standard_normal((6, 6)))[0].astype(np.float32)


def test_cka_is_the_formula_over_samples():
    k, m = (a @ a.T for a in (X - X.mean(0), Y - Y.mean(0)))
    expected = (k * m).sum() / np.linalg.norm(k) / np.linalg.norm(m)
    np.testing.assert_allclose(linear_cka(X, Y), expected, rtol=1e-5)
    # The other form, with fewer samples than features.
    np.testing.assert_allclose(linear_cka(X[:4], Y[:4]), _gram(X[:4], Y[:4]), rtol=1e-5)


def _gram(x, y):
    center = np.eye(len(x)) - 1 / len(x)
    k, m = (center @ a @ a.T @ center for a in (x, y))
    return (k * m).sum() / np.linalg.norm(k) / np.linalg.norm(m)


def test_cka_does_not_see_rotations_and_scales_but_other_maps():
    np.testing.assert_allclose(linear_cka(X, X), 1, atol=1e-6)
    np.testing.assert_allclose(linear_cka(7 * X @ ROTATION + 2, Y), linear_cka(X, Y), atol=1e-6)
    assert abs(linear_cka(X @ np.diag([9, 1, 1, 1, 1, 1]), Y) - linear_cka(X, Y)) > 0.02


def test_streamed_cka_equals_the_whole():
    sums = CkaSums()
    for first in range(0, 40, 15):
        sums.add(X[first : first + 15], Y[first : first + 15])
    np.testing.assert_allclose(sums.cka(), linear_cka(X, Y), rtol=1e-5)
    assert sums.n == 40


def test_debiased_cka_is_small_for_independent_features():
    x, y = (RNG.standard_normal((30, 500)).astype(np.float32) for _ in range(2))
    assert linear_cka(x, y) > 0.9
    assert abs(debiased_cka(x, y)) < 0.1
    np.testing.assert_allclose(debiased_cka(X, X), 1, atol=1e-5)
    with pytest.raises(InputError, match="at least 4"):
        debiased_cka(X[:3], Y[:3])


def test_cka_can_be_differentiated():
    slope = jax.grad(lambda x: linear_cka(x, jnp.asarray(Y)))(jnp.asarray(X))
    step = 1e-2 * RNG.standard_normal(X.shape).astype(np.float32)
    change = (linear_cka(X + step, Y) - linear_cka(X - step, Y)) / 2
    np.testing.assert_allclose((slope * step).sum(), change, rtol=1e-2)


def test_procrustes_is_zero_for_a_rotation_only():
    np.testing.assert_allclose(procrustes(X, 3 * X @ ROTATION - 1), 0, atol=1e-5)
    assert 0.05 < procrustes(X, Y) < 2


def test_constant_features_have_no_similarity():
    assert linear_cka(np.ones_like(X), Y) == 0
    sums = CkaSums()
    with pytest.raises(InputError, match="needs samples"):
        sums.cka()
    sums.add(np.ones_like(X), Y)
    assert sums.cka() == 0
    with pytest.raises(InputError, match="same samples"):
        linear_cka(X, Y[:5])


def test_answers_of_two_networks():
    one, other = jnp.eye(4)[:, [0, 1, 2, 3]], jnp.eye(4)[:, [0, 1, 3, 2]]
    labels = jnp.array([0, 2, 2, 2])
    assert agreement(one, one) == 1
    assert agreement(one, other) == 0.5
    overlap = hit_overlap(one, other, labels)
    assert [int(n) for n in overlap] == [1, 1, 1, 1]
    expected = -np.mean(np.sum(jax.nn.softmax(other) * np.log(jax.nn.softmax(one)), -1))
    np.testing.assert_allclose(cross_entropy_to(one, other), expected, rtol=1e-5)
