"""The LSNN that reads out at each time step, for one label per step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.adaptive_neurons import spike_trains, traces, trajectories
from jaxrobust.networks.lsnn import LSNN, without_diagonal

MEAN = LSNN(3, 2, n_hidden=6, tau=7.0)
EACH = LSNN(3, 2, n_hidden=6, tau=7.0, readout="each_step")


def example():
    parameters, _ = MEAN.init(jax.random.key(0))
    return parameters, 0.3 * jax.random.normal(jax.random.key(1), (4, 15, 3))


def test_logits_of_each_step_are_those_of_a_slow_loop():
    parameters, inputs = example()
    outputs = EACH.forward(parameters, {}, inputs)
    assert outputs.logits.shape == (4, 15, 2)
    spikes, _ = (np.asarray(each, np.float64) for each in MEAN.trajectories(parameters, inputs))
    assert spikes.max() == 1
    trace, rho = np.zeros((4, 6)), np.exp(-1 / 7)
    for step in range(15):
        trace = rho * trace + (1 - rho) * spikes[:, step]
        np.testing.assert_allclose(outputs.logits[:, step], trace @ parameters["w_out"], atol=1e-6)
    rates = MEAN.forward(parameters, {}, inputs).activations["rates"]
    np.testing.assert_allclose(outputs.activations["rates"], rates, atol=1e-6)


def test_nothing_of_later_steps_reaches_earlier_ones():
    parameters, inputs = example()
    later = EACH.forward(parameters, {}, inputs.at[:, 10:].add(1.0)).logits
    now = EACH.forward(parameters, {}, inputs).logits
    np.testing.assert_array_equal(later[:, :10], now[:, :10])
    assert np.any(later[:, 10:] != now[:, 10:])


def test_gradients_by_hand_equal_those_of_jax():
    parameters, inputs = example()
    with jax.enable_x64(True):
        w_rec = without_diagonal(jnp.asarray(parameters["w_rec"], jnp.float64))
        currents = jnp.swapaxes(jnp.asarray(inputs, jnp.float64) @ np.float64(parameters["w_in"]), 0, 1)
        weights = jax.random.normal(jax.random.key(2), currents.shape, jnp.float64)

        def by_hand(currents, w_rec):
            return jnp.sum(weights * traces(spike_trains(currents, w_rec, EACH.constants), 0.9))

        def by_jax(currents, w_rec):
            return jnp.sum(weights * traces(trajectories(currents, w_rec, EACH.constants)[0], 0.9))

        ours, theirs = (
            jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(currents, w_rec) for loss in (by_hand, by_jax)
        )
    assert ours[0] == theirs[0]
    for a, b in zip(ours[1], theirs[1], strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_own_thresholds_read_out_at_each_step_too():
    parameters, inputs = example()
    own = LSNN(3, 2, n_hidden=6, tau=7.0, readout="each_step", neuron_parameters=("thr",))
    logits = own.forward({**parameters, "thr": jnp.full(6, 0.01)}, {}, inputs).logits
    np.testing.assert_allclose(logits, EACH.forward(parameters, {}, inputs).logits, atol=1e-6)


def test_another_readout_is_refused():
    with pytest.raises(InputError, match="mean_rates or each_step"):
        LSNN(3, 2, readout="last")  # pyright: ignore[reportArgumentType]
