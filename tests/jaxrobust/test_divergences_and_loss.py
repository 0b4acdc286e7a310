"""Divergences against NumPy and at their extremes; the robust loss and its refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.attacks.robust_loss import robust_loss
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES, kl

pytestmark = pytest.mark.usefixtures("quick_compilation")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def slow_kl(p, q):
    return np.mean(np.sum(p * np.log(p / q), axis=-1))


SLOW = {
    "kl": lambda a, b: slow_kl(softmax(a), softmax(b)),
    "reverse_kl": lambda a, b: slow_kl(softmax(b), softmax(a)),
    "js": lambda a, b: (
        (
            slow_kl(softmax(a), (softmax(a) + softmax(b)) / 2)
            + slow_kl(softmax(b), (softmax(a) + softmax(b)) / 2)
        )
        / 2
    ),
    "l2": lambda a, b: np.mean(np.linalg.norm(a - b, axis=-1)),
}
F32 = partial(np.asarray, dtype=np.float32)
every_divergence = pytest.mark.parametrize("name", DIVERGENCES)
compiled = {name: jax.jit(jax.value_and_grad(d, argnums=(0, 1))) for name, d in DIVERGENCES.items()}


def test_every_divergence_has_a_slow_version():
    assert set(SLOW) == set(DIVERGENCES)


@every_divergence
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 8))
def test_equals_numpy(name, seed, scale):
    a, b = np.random.default_rng(seed).standard_normal((2, 5, 4)) * scale
    value, _ = compiled[name](F32(a), F32(b))
    expected = SLOW[name](a, b)
    # Near zero a divergence is a difference of much larger numbers.
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6 * max(1, scale))
    assert value >= -1e-6 * max(1, scale)


@every_divergence
def test_is_zero_without_slope_where_the_logits_are_equal(name):
    logits = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    value, gradients = compiled[name](logits, logits)
    assert value == pytest.approx(0, abs=1e-7)
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=1e-7)


@every_divergence
@pytest.mark.parametrize("gap", [1e2, 1e4, 1e15])
def test_huge_gaps_give_finite_values_and_gradients(name, gap):
    a = F32([[gap, 0, -gap, 0], [0, gap, 0, 0]])
    b = F32([[-gap, 0, gap, 0], [0, gap, 0, 0]])
    value, gradients = compiled[name](a, b)
    assert np.isfinite(value)
    assert value > 0.3
    for gradient in gradients:
        assert np.isfinite(gradient).all()


def test_jensen_shannon_is_at_most_log_2():
    value, _ = compiled["js"](F32([[1e4, -1e4]]), F32([[-1e4, 1e4]]))
    assert value == pytest.approx(np.log(2), rel=1e-6)


def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w"]) + parameters["b"]


THETA = {"w": jnp.asarray(np.random.default_rng(1).standard_normal((3, 4)), jnp.float32), "b": jnp.ones(4)}
INPUTS = jnp.asarray(np.random.default_rng(2).standard_normal((6, 3)), jnp.float32)
ATTACK = ParameterAttack(n_steps=2)


def attacked_by_hand(theta):
    nominal = apply(theta, INPUTS)
    return attack(lambda p: kl(nominal, apply(p, INPUTS)), theta, jax.random.key(0), ATTACK).parameters


def test_value_is_the_divergence_under_attack_whether_logits_are_given_or_not():
    expected = kl(apply(THETA, INPUTS), apply(attacked_by_hand(THETA), INPUTS))
    assert expected > 1e-3
    for logits in (None, apply(THETA, INPUTS)):
        value = robust_loss(apply, THETA, INPUTS, jax.random.key(0), ATTACK, logits=logits)
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_treated_as_constant_the_attacked_parameters_have_no_gradient():
    star = attacked_by_hand(THETA)
    expected = jax.grad(lambda p: kl(apply(p, INPUTS), apply(star, INPUTS)))(THETA)
    constant, full = (
        jax.grad(
            lambda p, c=c: robust_loss(apply, p, INPUTS, jax.random.key(0), ATTACK, treat_as_constant=c)
        )(THETA)
        for c in (True, False)
    )
    for name, leaf in expected.items():
        np.testing.assert_allclose(constant[name], leaf, rtol=1e-4, atol=1e-7)
        assert np.abs(full[name] - leaf).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"boundary_loss": "KL"}, "boundary_loss must be one of kl, reverse_kl, js, l2, madry, not 'KL'"),
        ({"boundary_loss": "madry", "treat_as_constant": True}, "has no gradient"),
        ({"boundary_loss": "madry"}, "pass task_loss, a function of the parameters"),
    ],
)
def test_bad_boundary_losses_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        robust_loss(apply, THETA, INPUTS, jax.random.key(0), ATTACK, **options)
