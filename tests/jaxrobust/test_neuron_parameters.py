"""Time constants and thresholds as parameters: trained, attacked and mismatched like the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.certificates.lsnn_intervals import lsnn_bounds
from jaxrobust.certificates.verification import box_around
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN, NEURON_PARAMETERS
from jaxrobust.perturbations.mismatch import gaussian_mismatch

INPUTS = jax.random.normal(jax.random.key(1), (6, 30, 2))
PLAIN = LSNN(n_in=2, n_out=3, n_hidden=10)
OPEN = LSNN(n_in=2, n_out=3, n_hidden=10, neuron_parameters=NEURON_PARAMETERS)


def test_at_their_constants_nothing_changes():
    plain, opened = PLAIN.init(jax.random.key(0)), OPEN.init(jax.random.key(0))
    assert set(opened.parameters) == set(plain.parameters) | set(NEURON_PARAMETERS)
    np.testing.assert_allclose(
        OPEN.forward(*opened, INPUTS).logits, PLAIN.forward(*plain, INPUTS).logits, atol=1e-6
    )


@pytest.mark.parametrize("name", NEURON_PARAMETERS)
def test_each_has_an_effect_and_a_gradient(name):
    variables = OPEN.init(jax.random.key(0))

    def loss(parameters):
        return jnp.sum(OPEN.forward(parameters, {}, INPUTS).activations["rates"] ** 2)

    gradient = jax.grad(loss)(variables.parameters)[name]
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient != 0)
    changed = {**variables.parameters, name: 0.5 * variables.parameters[name]}
    assert loss(changed) != loss(variables.parameters)


def test_attacks_and_mismatch_reach_them():
    parameters = OPEN.init(jax.random.key(0)).parameters

    def loss(p):
        return jnp.sum(OPEN.forward(p, {}, INPUTS).activations["rates"])

    attacked = attack(loss, parameters, jax.random.key(2), ParameterAttack(0.1, n_steps=2)).parameters
    device = gaussian_mismatch(jax.random.key(3), parameters, 0.1)
    for name in NEURON_PARAMETERS:
        assert np.max(np.abs(attacked[name] / parameters[name] - 1)) == pytest.approx(0.1, rel=1e-3)
        assert np.any(device[name] != parameters[name])


@pytest.mark.parametrize("name", ["tau", "tau_adaptation", "thr"])
def test_a_negative_constant_acts_as_a_small_positive_one(name):
    """As after mismatch, noise or an attack; the state would grow without bound, or the unit fire at rest."""
    variables = OPEN.init(jax.random.key(0))
    constant = variables.parameters[name]

    def rates(value):
        return OPEN.forward({**variables.parameters, name: value}, {}, INPUTS).activations["rates"]

    smallest = rates(1e-3 * constant)
    for share in (-0.5, 0.0, 1e-9):
        np.testing.assert_array_equal(rates(share * constant), smallest)
    assert np.any(rates(1e-2 * constant) != rates(constant))
    _, potentials = OPEN.trajectories({**variables.parameters, name: -0.5 * constant}, INPUTS)
    assert np.abs(potentials).max() < 100
    gradient = jax.grad(lambda value: jnp.sum(rates(value) ** 2))(-0.5 * constant)
    assert np.all(np.isfinite(gradient))


def test_bounds_that_would_not_hold_are_refused():
    box = box_around(OPEN.init(jax.random.key(0)).parameters, 1e-4)
    with pytest.raises(InputError, match="not its beta, tau, tau_adaptation, thr; verify a network without"):
        lsnn_bounds(box, INPUTS, constants=PLAIN.constants)


def test_a_name_that_is_no_constant():
    with pytest.raises(InputError, match="'rho' is not"):
        LSNN(n_in=2, n_out=3, neuron_parameters=("rho",))
