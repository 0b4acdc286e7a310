"""A model draws the same whether it trains alone or in a program whose other models have more parts."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.parameter_noise.catalogue import family_named
from jaxrobust.studies.parameter_noise.recipes import method_of
from jaxrobust.training.methods.joining import join
from jaxrobust.training.methods.objective import Batch, Objective

MODEL = family_named("digits_mlp").make() | {"beta_robustness": 0.0, "n_attack_steps": 2}
PLAIN = {}
NOISY = {"noisy_forward_std": 0.3}
NOISY_BY_RANGE = NOISY | {"noisy_forward_mode": "range"}
ATTACKED = {"beta_robustness": 0.25}
DIFFERENCE = ATTACKED | {"hessian_robustness": True}
ADVERSARIAL = {"awp": True}


def method(settings, *others):
    return join([method_of(MODEL | its) for its in (settings, *others)])[0]


@cache
def loss(method):
    network = MLP(n_in=6, n_hidden=(8,), n_out=3, dropout=0.5)
    parameters, statistics = network.init(jax.random.key(0))
    batch = Batch(jax.random.normal(jax.random.key(1), (10, 6)), jnp.arange(10) % 3)
    return method.loss(Objective(network, statistics, batch), parameters, jax.random.key(2))


@pytest.mark.parametrize("other", [NOISY, ATTACKED, NOISY | ATTACKED])
@pytest.mark.parametrize(
    "settings",
    [PLAIN, NOISY, NOISY_BY_RANGE, ATTACKED, DIFFERENCE, NOISY | ATTACKED, ADVERSARIAL, NOISY | ADVERSARIAL],
)
def test_the_loss_beside_others_is_the_loss_alone(settings, other):
    alone, forward = loss(method(settings))
    beside, forward_beside = loss(method(settings, other))
    np.testing.assert_allclose(beside, alone, rtol=1e-6)
    np.testing.assert_allclose(forward_beside.logits, forward.logits, rtol=1e-6)


def test_noise_attack_and_dropout_have_draws_of_their_own():
    losses = {float(loss(method(settings))[0]) for settings in (PLAIN, NOISY, ATTACKED, NOISY | ATTACKED)}
    assert len(losses) == 4
