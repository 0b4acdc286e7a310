"""The time loop as one kernel, interpreted step by step, against the scan; and its code for CUDA."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from jaxrobust.errors import InputError
from jaxrobust.layers import adaptive_neurons as scan
from jaxrobust.layers import time_loop_kernel as kernel
from jaxrobust.layers import time_loops
from jaxrobust.networks.lsnn import LSNN

CONSTANTS = LSNN(n_in=2, n_out=2).constants


def example(n_steps=9, n_samples=5, n_units=20, dtype=jnp.float32, n_models=None):
    """Currents strong enough for spikes, and recurrent weights."""
    keys = jax.random.split(jax.random.key(1), 2)
    axes = () if n_models is None else (n_models,)
    currents = 0.1 * jax.random.normal(keys[0], (*axes, n_steps, n_samples, n_units))
    w_rec = jax.random.normal(keys[1], (*axes, n_units, n_units)) / n_units**0.5
    return currents, w_rec.astype(dtype)


def by_kernel(form):
    return partial(getattr(kernel, form), constants=CONSTANTS, interpret=True)


def by_scan(form):
    return partial(getattr(scan, form), constants=CONSTANTS)


def loss_of(function):
    def loss(currents, w_rec):
        values = function(currents, w_rec)
        return jnp.sum(values * jnp.cos(jnp.arange(values.size).reshape(values.shape)))

    return loss


@pytest.fixture
def tile_of_16(monkeypatch):
    """20 units do not fill one tile of 128; here 40 do not fill three."""
    return lambda n_units: monkeypatch.setattr(kernel, "UNITS", 16 if n_units == 40 else 128)


@pytest.mark.parametrize(
    ("form", "dtype", "n_units"),
    [
        ("mean_rates", jnp.float32, 40),
        ("spike_trains", jnp.bfloat16, 20),
        pytest.param("mean_rates", jnp.bfloat16, 20, marks=pytest.mark.slow),
        pytest.param("spike_trains", jnp.float32, 40, marks=pytest.mark.slow),
    ],
)
def test_the_kernel_spikes_like_the_scan(form, dtype, n_units, tile_of_16):
    tile_of_16(n_units)
    given = example(n_units=n_units, dtype=dtype)
    expected = by_scan(form)(*given)
    assert 0.01 < jnp.mean(expected > 0) < 0.99
    np.testing.assert_array_equal(by_kernel(form)(*given), expected)


@pytest.mark.parametrize(
    ("has_earlier_bars", "n_units"),
    [
        (False, 20),
        (True, 40),
        pytest.param(False, 40, marks=pytest.mark.slow),
        pytest.param(True, 20, marks=pytest.mark.slow),
    ],
)
def test_the_backward_pass_of_the_kernel_is_that_of_the_scan_on_the_same_spikes(
    has_earlier_bars, n_units, tile_of_16
):
    tile_of_16(n_units)
    currents, w_rec = example(n_units=n_units, n_samples=18)  # of two tiles
    _, (_, kept) = scan.run_and_keep(currents, w_rec, CONSTANTS)
    bars = jax.random.normal(jax.random.key(2), currents.shape)
    given = (*kept, w_rec), bars[-1], bars if has_earlier_bars else None
    found, expected = kernel._backward(CONSTANTS, True, *given), scan.backward(CONSTANTS, *given)
    for one, other in zip(found, expected, strict=True):
        assert jnp.any(other != 0)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(jnp.max(jnp.abs(other))))


@pytest.mark.parametrize("form", ["mean_rates", pytest.param("spike_trains", marks=pytest.mark.slow)])
def test_models_side_by_side_get_what_each_gets_alone(form):
    currents, w_rec = example(n_models=2)
    gradient = jax.grad(loss_of(by_kernel(form)), argnums=(0, 1))
    together = jax.jit(jax.vmap(gradient))(currents, w_rec)
    reference = jax.jit(jax.grad(loss_of(by_scan(form)), argnums=(0, 1)))
    for i in range(2):
        for one, alone in zip(together, reference(currents[i], w_rec[i]), strict=True):
            np.testing.assert_allclose(one[i], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_second_derivatives_are_those_of_the_scan():
    currents, w_rec = example()
    direction = jnp.ones_like(w_rec)

    def curvature(function):
        gradient = jax.grad(loss_of(function), argnums=1)
        return jax.jvp(lambda w: gradient(currents, w), (w_rec,), (direction,))[1]

    expected = curvature(by_scan("mean_rates"))
    assert jnp.any(expected != 0)
    np.testing.assert_allclose(curvature(by_kernel("mean_rates")), expected, rtol=1e-3, atol=1e-3)


def test_units_that_are_no_longer_finite_have_no_rate():
    currents, w_rec = example()
    currents = currents.at[3, 2, 7].set(jnp.nan)
    found, expected = by_kernel("mean_rates")(currents, w_rec), by_scan("mean_rates")(currents, w_rec)
    assert np.isnan(expected[2, 7])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("form", "dtype", "precision"),
    [("mean_rates", jnp.float32, "default"), ("spike_trains", jnp.bfloat16, "float32")],
)
def test_the_kernel_has_code_for_cuda(form, dtype, precision):
    """Forwards and backwards at the published size, for several models; no GPU is needed to lower it."""
    currents = jax.ShapeDtypeStruct((2, 100, 100, 256), jnp.float32)
    w_rec = jax.ShapeDtypeStruct((2, 256, 256), dtype)
    loss = loss_of(partial(getattr(kernel, form), constants=CONSTANTS))
    some_gpu = AbstractMesh((), (), abstract_device=AbstractDevice("NVIDIA H200", 132, platform="gpu"))
    with jax.default_matmul_precision(precision), use_abstract_mesh(some_gpu):
        traced = jax.jit(jax.vmap(jax.grad(loss, argnums=(0, 1)))).trace(currents, w_rec)
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("@__gpu$xla.gpu.triton(") == 2


# --- the choice ---


def test_a_network_computes_the_kernel_where_it_is_chosen(monkeypatch):
    network = LSNN(n_in=3, n_out=2, n_hidden=20)
    parameters = network.init(jax.random.key(0)).parameters
    inputs = jax.random.normal(jax.random.key(1), (4, 6, 3))
    expected = network.forward(parameters, {}, inputs)
    calls = []

    def mean_rates(*arguments):
        calls.append(arguments)
        return kernel_of(*arguments, True)

    kernel_of = kernel.mean_rates
    monkeypatch.setattr(kernel, "mean_rates", mean_rates)
    monkeypatch.setattr(time_loops, "chosen", lambda: "kernel")
    found = network.forward(parameters, {}, inputs)
    assert len(calls) == 1
    np.testing.assert_array_equal(found.activations["rates"], expected.activations["rates"])


def test_without_a_gpu_the_scan_is_computed_whatever_is_asked_for(monkeypatch):
    monkeypatch.setenv(time_loops.SWITCH, "kernel")
    assert time_loops.chosen() == "scan"


def test_a_form_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv(time_loops.SWITCH, "kernels")
    with pytest.raises(InputError, match="is scan or kernel, not 'kernels'"):
        time_loops.chosen()


def test_a_gpu_that_cannot_compile_the_kernel_computes_the_scan_and_says_so(monkeypatch):
    monkeypatch.setenv(time_loops.SWITCH, "kernel")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # in truth a CPU, for which there is no Triton
    time_loops._compiles.cache_clear()
    with pytest.warns(
        UserWarning, match="JAXROBUST_TIME_LOOP=kernel has no effect: it does not compile here"
    ):
        assert time_loops.chosen() == "scan"
    time_loops._compiles.cache_clear()
