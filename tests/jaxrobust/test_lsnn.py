"""The LSNN against a slow NumPy version, written from the published equations and nothing else."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.adaptive_neurons import mean_rates, mean_rates_by_autodiff
from jaxrobust.layers.dropout import kept
from jaxrobust.networks.lsnn import LSNN

SMALL = LSNN(n_in=3, n_out=4, n_hidden=12)
VARIANTS = [
    SMALL,
    replace(SMALL, refr=1),
    replace(SMALL, refr=4),
    replace(SMALL, dt=0.5, tau=7.0, tau_adaptation=31.0, beta=0.7, thr=0.03),
]


class SlowLSNN:
    """One unit after the other, one step after the other, in float64."""

    def __init__(self, network: LSNN, parameters, inputs, mask=None):
        self.network = network
        self.mask = np.ones(network.n_hidden) if mask is None else np.asarray(mask, np.float64)
        self.w_in, self.w_rec, self.w_out, self.b_out = (
            np.asarray(parameters[name], np.float64) for name in ("w_in", "w_rec", "w_out", "b_out")
        )
        self.w_rec = self.w_rec.copy()
        np.fill_diagonal(self.w_rec, 0)
        self.x = np.asarray(inputs, np.float64)
        self.rho = np.exp(-network.dt / network.tau)
        self.rho_b = np.exp(-network.dt / network.tau_adaptation)
        self._run()

    def _run(self):
        net, (batch, time, _) = self.network, self.x.shape
        units = net.n_hidden
        v, z, b, r = (np.zeros((batch, units)) for _ in range(4))
        self.v, self.z, self.b, self.u, self.open = ([] for _ in range(5))
        for t in range(time):
            for k in range(batch):
                current = self.x[k, t] @ self.w_in + z[k] @ self.w_rec
                new = np.zeros((4, units))
                u, can = np.zeros(units), np.zeros(units)
                for i in range(units):
                    adaptation = self.rho_b * b[k, i] + (1 - self.rho_b) * z[k, i]
                    threshold = net.thr + net.beta * adaptation
                    potential = (
                        self.rho * v[k, i] + (1 - self.rho) * current[i] - z[k, i] * threshold * net.dt
                    )
                    u[i] = (potential - threshold) / threshold
                    can[i] = r[k, i] <= 0.1
                    spike = self.mask[i] * ((1 / net.dt) if can[i] and u[i] > 0 else 0.0)
                    counter = min(max(r[k, i] + net.refr * spike - 1, 0), net.refr)
                    new[:, i] = potential, spike, adaptation, counter
                v[k], z[k], b[k], r[k] = new
                self.u.append(u)
                self.open.append(can)
            self.v.append(v.copy())
            self.z.append(z.copy())
            self.b.append(b.copy())
        self.u = np.reshape(self.u, (time, batch, units))
        self.open = np.reshape(self.open, (time, batch, units))
        self.rates = np.mean(self.z, axis=0)
        self.logits = self.rates @ self.w_out + self.b_out

    def gradients(self, logits_bar, rates_bar):
        """Back-propagation through time: every equation's adjoint, in reverse order."""
        net, (batch, time, _) = self.network, self.x.shape
        nothing = np.zeros((batch, net.n_hidden))
        rates_bar = rates_bar + logits_bar @ self.w_out.T
        bars = {
            "w_in": np.zeros_like(self.w_in),
            "w_rec": np.zeros_like(self.w_rec),
            "w_out": self.rates.T @ logits_bar,
            "b_out": logits_bar.sum(0),
        }
        z_bar_later, v_bar_later, b_bar_later = nothing, nothing, nothing
        for t in reversed(range(time)):
            z_before = self.z[t - 1] if t else nothing
            threshold = net.thr + net.beta * self.b[t]
            surrogate = net.dampening * np.maximum(1 - np.abs(self.u[t]), 0)
            z_bar = z_bar_later + rates_bar / time
            u_bar = z_bar * self.mask * self.open[t] * surrogate / net.dt
            v_bar = v_bar_later + u_bar / threshold  # u = v / B - 1
            threshold_bar = -u_bar * self.v[t] / threshold**2
            threshold_bar = threshold_bar - v_bar * z_before * net.dt  # v = ... - z B dt
            b_bar = b_bar_later + net.beta * threshold_bar
            current_bar = (1 - self.rho) * v_bar
            bars["w_in"] += self.x[:, t].T @ current_bar
            bars["w_rec"] += z_before.T @ current_bar
            z_bar_later = current_bar @ self.w_rec.T - v_bar * threshold * net.dt + (1 - self.rho_b) * b_bar
            v_bar_later = self.rho * v_bar
            b_bar_later = self.rho_b * b_bar
        np.fill_diagonal(bars["w_rec"], 0)
        return bars


def example(network=SMALL, batch=4, time=30, seed=0):
    """Parameters and inputs that make many units spike."""
    rng = np.random.default_rng(seed)
    parameters, _ = network.init(jax.random.key(seed))
    parameters = jax.tree.map(lambda p: np.asarray(p + 0.1 * rng.standard_normal(p.shape)), parameters)
    inputs = rng.standard_normal((batch, time, network.n_in))
    return parameters, inputs.astype(np.float32)


def in_double(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


@pytest.mark.parametrize("network", VARIANTS)
def test_forward_pass_equals_the_slow_one(network):
    parameters, inputs = example(network)
    slow = SlowLSNN(network, parameters, inputs)
    assert 0.02 < np.mean(np.asarray(slow.z) > 0) < 0.6

    fast = network.forward(parameters, {}, inputs)
    assert fast.logits.dtype == jnp.float32
    np.testing.assert_allclose(fast.activations["rates"], slow.rates, atol=1e-5)
    np.testing.assert_allclose(fast.logits, slow.logits, atol=1e-5)

    spikes, potentials = network.trajectories(parameters, inputs)
    np.testing.assert_allclose(spikes, np.swapaxes(slow.z, 0, 1), atol=1e-6)
    np.testing.assert_allclose(potentials, np.swapaxes(slow.v, 0, 1), atol=1e-5)


@pytest.mark.parametrize("refr", [1, 2, 3, 5])
def test_constant_drive_spikes_once_in_refr_steps(refr):
    network = LSNN(n_in=1, n_out=1, n_hidden=1, refr=refr, beta=0.0)
    parameters = {
        "w_in": jnp.full((1, 1), 100.0),
        "w_rec": jnp.zeros((1, 1)),
        "w_out": jnp.ones((1, 1)),
        "b_out": jnp.zeros(1),
    }
    spikes, _ = network.trajectories(parameters, jnp.ones((1, 30, 1)))
    expected = (np.arange(30) % max(refr, 1) == 0).astype(np.float32)
    np.testing.assert_array_equal(spikes[0, :, 0], expected)


def test_published_refractory_period_gives_every_second_step():
    network = LSNN(n_in=1, n_out=1, n_hidden=1)
    parameters = {
        "w_in": jnp.full((1, 1), 100.0),
        "w_rec": jnp.zeros((1, 1)),
        "w_out": jnp.ones((1, 1)),
        "b_out": jnp.zeros(1),
    }
    spikes, _ = network.trajectories(parameters, jnp.ones((1, 6, 1)))
    np.testing.assert_array_equal(spikes[0, :, 0], [1, 0, 1, 0, 1, 0])


@pytest.mark.parametrize("network", VARIANTS)
def test_gradients_equal_slow_back_propagation_through_time(network):
    parameters, inputs = example(network)
    rng = np.random.default_rng(1)
    logits_bar, rates_bar = rng.standard_normal((4, 4)), rng.standard_normal((4, network.n_hidden))
    expected = SlowLSNN(network, parameters, inputs).gradients(logits_bar, rates_bar)

    def weighted(parameters, inputs):
        result = network.forward(parameters, {}, inputs)
        return jnp.sum(result.logits * logits_bar) + jnp.sum(result.activations["rates"] * rates_bar)

    with jax.enable_x64(True):
        gradients = jax.grad(weighted)(in_double(parameters), jnp.asarray(inputs, jnp.float64))
    for name, gradient in gradients.items():
        assert np.abs(expected[name]).max() > 1e-3
        np.testing.assert_allclose(gradient, expected[name], atol=1e-11, err_msg=name)


@pytest.mark.parametrize("network", VARIANTS)
def test_hand_written_backward_pass_equals_automatic_differentiation(network):
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        currents = jnp.asarray(rng.standard_normal((25, 3, 12)) * 0.4)
        w_rec = jnp.asarray(rng.standard_normal((12, 12)) * 0.3)
        rates_bar = jnp.asarray(rng.standard_normal((3, 12)))
        value, pull = jax.vjp(lambda c, w: mean_rates(c, w, network.constants), currents, w_rec)
        other, other_pull = jax.vjp(
            lambda c, w: mean_rates_by_autodiff(c, w, network.constants), currents, w_rec
        )
        np.testing.assert_array_equal(value, other)
        for fast, plain in zip(pull(rates_bar), other_pull(rates_bar), strict=True):
            assert np.abs(plain).max() > 1e-3
            np.testing.assert_allclose(fast, plain, atol=1e-13)


def test_second_derivatives_equal_those_of_automatic_differentiation():
    """Gradient penalties and Hessian spectra differentiate the hand-written backward pass itself."""
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        currents = jnp.asarray(rng.standard_normal((20, 3, 6)) * 0.4)
        w_rec, direction = (jnp.asarray(rng.standard_normal((6, 6)) * 0.3) for _ in range(2))

        def squared(rates):
            return lambda w: jnp.sum(rates(currents, w, SMALL.constants) ** 2)

        # Forward mode innermost, as JAX forgets the rule of `spike` in the reverse mode of a scan.
        plain = squared(mean_rates_by_autodiff)
        expected = jax.jit(jax.grad(lambda w: jax.jvp(plain, (w,), (direction,))[1]))(w_rec)
        gradient = jax.grad(squared(mean_rates))
        assert np.abs(expected).max() > 1e-3
        twice_reverse = jax.jit(jax.grad(lambda w: jnp.sum(gradient(w) * direction)))(w_rec)
        np.testing.assert_allclose(twice_reverse, expected, atol=1e-12)
        forward_over_reverse = jax.jit(lambda w: jax.jvp(gradient, (w,), (direction,))[1])(w_rec)
        np.testing.assert_allclose(forward_over_reverse, expected, atol=1e-12)


def test_published_dropout_is_a_mask_on_the_spikes_forwards_and_backwards():
    network = replace(SMALL, dropout=0.4, dropout_mask="published")
    parameters, inputs = example(network)
    key = jax.random.key(7)
    with jax.enable_x64(True):  # the random bits depend on it
        mask = kept(key, 0.4, (12,), jnp.float64)
    assert 0 < mask.sum() < 12
    slow = SlowLSNN(network, parameters, inputs, mask)
    rng = np.random.default_rng(1)
    logits_bar, rates_bar = rng.standard_normal((4, 4)), rng.standard_normal((4, 12))

    def weighted(parameters, inputs):
        result = network.forward(parameters, {}, inputs, key=key, training=True)
        return jnp.sum(result.logits * logits_bar) + jnp.sum(result.activations["rates"] * rates_bar), result

    with jax.enable_x64(True):
        gradients, result = jax.grad(weighted, has_aux=True)(
            in_double(parameters), jnp.asarray(inputs, jnp.float64)
        )
    np.testing.assert_allclose(result.activations["rates"], slow.rates, atol=1e-12)
    np.testing.assert_allclose(result.logits, slow.logits, atol=1e-12)
    for name, expected in slow.gradients(logits_bar, rates_bar).items():
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(gradients[name], expected, atol=1e-11, err_msg=name)


def test_rescaled_dropout_makes_up_for_the_silent_units():
    parameters, inputs = example()
    key = jax.random.key(7)
    rescaled = replace(SMALL, dropout=0.4)
    louder = {**parameters, "w_rec": parameters["w_rec"] / 0.6, "w_out": parameters["w_out"] / 0.6}
    published = replace(rescaled, dropout_mask="published")
    one = rescaled.forward(parameters, {}, inputs, key=key, training=True)
    other = published.forward(louder, {}, inputs, key=key, training=True)
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-6)
    np.testing.assert_allclose(one.activations["rates"], other.activations["rates"], atol=1e-6)
    plain = SMALL.forward(parameters, {}, inputs)
    assert np.abs(one.logits - plain.logits).max() > 1e-3
    np.testing.assert_array_equal(rescaled.forward(parameters, {}, inputs, key=key).logits, plain.logits)


def test_bfloat16_rounds_the_weights_and_nothing_else():
    parameters, inputs = example()
    inputs = inputs.astype(jnp.bfloat16).astype(jnp.float32)
    rounded = {
        name: value.astype(jnp.bfloat16).astype(value.dtype) if name in ("w_in", "w_rec") else value
        for name, value in parameters.items()
    }
    low = replace(SMALL, precision="bfloat16")
    expected, found = SMALL.forward(rounded, {}, inputs), low.forward(parameters, {}, inputs)
    np.testing.assert_allclose(found.activations["rates"], expected.activations["rates"], atol=1e-6)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-6)
    assert found.logits.dtype == jnp.float32
    assert np.abs(found.logits - SMALL.forward(parameters, {}, inputs).logits).max() > 1e-6
    for one, other in zip(
        low.trajectories(parameters, inputs), SMALL.trajectories(rounded, inputs), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("open_parameters", [(), ("tau",)])
def test_bfloat16_gradients_are_those_of_the_rounded_weights_up_to_their_own_rounding(open_parameters):
    network = replace(SMALL, neuron_parameters=open_parameters)
    parameters, inputs = example(network)
    inputs = inputs.astype(jnp.bfloat16).astype(jnp.float32)

    def loss(network):
        return jax.grad(lambda p: jnp.sum(jnp.sin(network.forward(p, {}, inputs).logits)))

    rounded = {name: value.astype(jnp.bfloat16).astype(value.dtype) for name, value in parameters.items()}
    found = loss(replace(network, precision="bfloat16"))(rounded)
    for name, expected in loss(network)(rounded).items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_allclose(found[name], expected, atol=0.02 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize(
    "change", [{"dropout": 1.0}, {"dropout": -0.1}, {"dropout_mask": "inverted"}, {"precision": "float16"}]
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(InputError):
        replace(SMALL, **change)


def test_init_has_the_published_widths():
    network = LSNN(n_in=40, n_out=8)
    parameters, statistics = network.init(jax.random.key(0))
    assert statistics == {}
    off_diagonal = parameters["w_rec"][~np.eye(256, dtype=bool)]
    assert np.std(parameters["w_in"]) == pytest.approx(0.08220, rel=0.02)
    assert np.std(off_diagonal) == pytest.approx(0.0625, rel=0.02)
    assert np.std(parameters["w_out"]) == pytest.approx(0.01 * 0.87962566, rel=0.05)
    # Truncated at two standard deviations of the normal distribution that was cut.
    assert np.abs(parameters["w_in"]).max() == pytest.approx(2 * 0.09345, rel=0.02)
    assert np.abs(parameters["w_out"]).max() <= 0.02
    np.testing.assert_array_equal(parameters["b_out"], 0)
    np.testing.assert_array_equal(np.diag(parameters["w_rec"]), 0)
    other, _ = network.init(jax.random.key(1))
    assert np.abs(parameters["w_in"] - other["w_in"]).max() > 0.01


def test_diagonal_of_the_recurrent_weights_has_no_effect_and_no_gradient():
    parameters, inputs = example()
    changed = {**parameters, "w_rec": parameters["w_rec"] + 5 * np.eye(12, dtype=np.float32)}

    def loss(parameters):
        return jnp.sum(SMALL.forward(parameters, {}, inputs).logits ** 2)

    assert loss(changed) == loss(parameters)
    gradient = jax.grad(loss)(changed)["w_rec"]
    np.testing.assert_array_equal(np.diag(gradient), 0)
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize(("n_in", "n_out", "count"), [(40, 8, 77_832), (2, 4, 67_076)])
def test_parameter_counts_are_the_published_ones(n_in, n_out, count):
    parameters = jax.eval_shape(LSNN(n_in=n_in, n_out=n_out).init, jax.random.key(0)).parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == count


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6, 1e30])
def test_values_and_gradients_stay_finite(scale):
    parameters, inputs = example()
    for tree in (parameters, jax.tree.map(np.zeros_like, parameters)):
        value, gradient = jax.value_and_grad(
            lambda p: jnp.sum(SMALL.forward(p, {}, scale * inputs).activations["rates"] ** 2)
        )(tree)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_samples_do_not_see_each_other():
    parameters, inputs = example()
    together = SMALL.forward(parameters, {}, inputs).logits
    alone = jnp.concatenate([SMALL.forward(parameters, {}, inputs[i : i + 1]).logits for i in range(4)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 30, 5), (4, 30), (30, 3, 1, 1)])
def test_inputs_of_another_shape_are_refused(shape):
    parameters, _ = example()
    with pytest.raises(InputError, match=r"takes inputs of shape \(batch, time, 3\)"):
        SMALL.forward(parameters, {}, np.zeros(shape, np.float32))
