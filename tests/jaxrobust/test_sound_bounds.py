"""Bounds that hold where numbers are not finite or not float32, and bounds through what people write."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.certificates.intervals import Interval, check_product_precision
from jaxrobust.certificates.lsnn_intervals import lsnn_bounds, lsnn_margins
from jaxrobust.certificates.margins import margins_of_logits, verified_by_margins
from jaxrobust.certificates.propagation import output_bounds, output_margins
from jaxrobust.certificates.verification import (
    accuracy_verified_by_margins,
    box_around,
    verified,
    verified_accuracy,
)
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.perturbations.mismatch import BoxCorner

pytestmark = pytest.mark.usefixtures("quick_compilation")

NET = LSNN(2, 3, n_hidden=6)
SPIKING = NET.init(jax.random.key(0)).parameters
INPUTS = jnp.asarray(np.random.default_rng(0).standard_normal((8, 20, 2)), jnp.float32)


@jax.jit
def spiking_bounds(inputs, size):
    logits = NET.forward(SPIKING, {}, inputs).logits
    return logits, lsnn_bounds(box_around(SPIKING, size), inputs, constants=NET.constants)


@pytest.mark.parametrize(
    ("inputs", "n_unbounded"),
    [
        (INPUTS, 0),
        (INPUTS.at[0, 3, 0].set(jnp.inf), 1),
        (INPUTS.at[0, 3, 0].set(jnp.nan), 1),
        (3e38 * INPUTS, 8),
    ],
    ids=["finite", "inf", "NaN", "overflow"],
)
def test_numbers_that_are_not_finite_verify_nothing(inputs, n_unbounded):
    logits, bounds = spiking_bounds(inputs, 1e-4)
    assert not jnp.any((logits < bounds.lower) | (logits > bounds.upper))
    assert jnp.sum(jnp.isinf(bounds.lower).all(-1) & jnp.isinf(bounds.upper).all(-1)) == n_unbounded
    by_any_class = [verified(bounds, jnp.full(8, label)) for label in range(3)]
    assert not jnp.any(jnp.stack(by_any_class)[:, :n_unbounded])


def test_bounds_refuse_what_they_cannot_hold():
    box = box_around(SPIKING, 1e-4)
    with pytest.raises(InputError, match="1 numbers that are NaN or infinite"):
        lsnn_bounds(box, INPUTS.at[0, 3, 0].set(jnp.inf), constants=NET.constants)
    with pytest.raises(InputError, match="NaN or infinite"):
        output_bounds(lambda p, x: x @ p, box_around(jnp.ones((2, 3)), 0.1), jnp.full((1, 2), jnp.nan))
    rounded = LSNN(2, 3, n_hidden=6, precision="bfloat16")
    with pytest.raises(InputError, match="precision='float32'"):
        lsnn_bounds(box, INPUTS, constants=rounded.constants)


def test_products_in_reduced_precision_are_refused_on_an_accelerator(monkeypatch):
    check_product_precision(None)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    box, inputs = box_around(jnp.ones((2, 3)), 0.1), jnp.ones((1, 2))
    with pytest.raises(InputError, match="default_matmul_precision"):
        output_bounds(lambda p, x: x @ p, box, inputs)
    with pytest.raises(InputError, match="default_matmul_precision"):
        lsnn_bounds(box_around(SPIKING, 1e-4), INPUTS, constants=NET.constants)
    with jax.default_matmul_precision("highest"):
        output_bounds(lambda p, x: x @ p, box, inputs)
    with pytest.raises(InputError, match="BF16"):
        check_product_precision(jax.lax.DotAlgorithmPreset.BF16_BF16_F32)


@pytest.mark.parametrize("size", [float("nan"), -0.1, float("inf"), np.float32("nan"), jnp.float32(-1)])
def test_a_size_that_is_none_is_refused_and_makes_no_box_when_traced(size):
    parameters = {"w": jnp.array([1.0, 0.0])}
    with pytest.raises(InputError, match="size of a box must be a finite number of at least 0"):
        box_around(parameters, size)
    with pytest.raises(InputError, match="absolute_size of a box"):
        box_around(parameters, 0.1, size)
    lower, upper = jax.jit(box_around)(parameters, size)
    assert jnp.all(jnp.isinf(lower["w"]) & jnp.isinf(upper["w"]))
    of_zero = jax.jit(box_around)(parameters, 0.0)
    assert of_zero.lower["w"].tolist() == of_zero.upper["w"].tolist() == [1.0, 0.0]


ACTIVATIONS = {
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "hard_tanh": jax.nn.hard_tanh,
    "softplus": jax.nn.softplus,
    "where": lambda h: jnp.where(h > 0, h, 0),
    "where of two conditions": lambda h: jnp.where((h > -1) & ~(h >= 1), h, 0.5),
    "gate": lambda h: h * (h != 0.1),
    "fourth power": lambda h: h**4,
    "negative power": lambda h: (2 + h**2) ** -2,
    "cumsum": lambda h: jnp.cumsum(h, -1),
    "gather": lambda h: h[:, jnp.array([0, 3, 2, 1])],
    "straight-through": lambda h: h + jax.lax.stop_gradient(jnp.round(h) - h),
    "sign": jnp.sign,
}


# The others have their rules in common with these.
QUICK = ("softmax", "leaky_relu", "straight-through", "where of two conditions", "fourth power", "gather")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ACTIVATIONS]
)
def test_no_value_leaves_the_bounds_of_an_activation(name):
    low = 2 * jax.random.normal(jax.random.key(0), (20, 4))
    widths = jnp.repeat(jnp.array([0.0, 1e-3, 0.3, 2.0]), 5)[:, None]

    @jax.jit
    def of(low, high):
        bounds = output_bounds(lambda h, x: ACTIVATIONS[name](h), Interval(low, high), jnp.zeros(0))
        shares = jnp.linspace(0, 1, 21)[:, None, None]
        values = jax.lax.map(ACTIVATIONS[name], jnp.clip(low + shares * (high - low), low, high))
        return bounds, values

    bounds, values = of(low, low + widths)
    assert jnp.all((bounds.lower <= values) & (values <= bounds.upper))
    assert jnp.isfinite(bounds.lower).all()
    assert jnp.isfinite(bounds.upper).all()
    is_point = widths[:, 0] == 0
    assert (bounds.upper - bounds.lower)[is_point].max() < 1e-2
    unknown, _ = of(jnp.full((20, 4), jnp.nan), jnp.ones((20, 4)))
    assert not jnp.any(unknown.lower > unknown.upper)


WEIGHTS = {
    "w": jax.random.normal(jax.random.key(0), (3, 4)),
    "v": jax.random.normal(jax.random.key(1), (4, 3)),
    "b": jax.random.normal(jax.random.key(2), (3,)),
}
X, LABELS = jax.random.normal(jax.random.key(3), (6, 3)), jnp.arange(6) % 3


@pytest.mark.parametrize("biases", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_no_corner_leaves_the_bounds_of_margins(biases):
    def apply(p, x):
        return jnp.tanh(x @ p["w"]) @ p["v"] + p["b"] if biases else jax.nn.relu(x @ p["w"]) @ p["v"]

    @jax.jit
    def of(size):
        box = box_around(WEIGHTS, size)
        margins = output_margins(apply, box, X, LABELS)
        of_logits = margins_of_logits(output_bounds(apply, box, X), LABELS)
        keys = jax.random.split(jax.random.key(4), 50)
        logits = jax.lax.map(lambda key: apply(BoxCorner(size).perturb(key, WEIGHTS), X), keys)
        own = jnp.take_along_axis(logits, LABELS[None, :, None], axis=-1)
        return margins, of_logits, (own - logits).min(0)

    is_label = jax.nn.one_hot(LABELS, 3, dtype=bool)
    for size in (1e-6, 0.01, 0.3):
        margins, of_logits, seen = of(size)
        assert jnp.all(is_label | (margins <= seen))
        gain = jnp.where(is_label, 0, margins - of_logits)
        assert gain.min() >= 0
        assert gain.max() > 0.1 * size


def test_margins_verify_what_bounds_of_logits_cannot():
    """Both logits grow with the one hidden unit; their difference hardly moves."""
    weights, inputs = {"w": jnp.ones((1, 1)), "v": jnp.array([[2.0, 1.0]])}, jnp.ones((1, 1))

    def apply(p, x):
        return jax.nn.relu(x @ p["w"]) @ p["v"]

    box = Interval(weights, {**weights, "w": jnp.full((1, 1), 3.0)})
    label = jnp.array([0])
    share = {
        "logits": verified_accuracy(lambda b, x: output_bounds(apply, b, x), box, inputs, label),
        "margins": accuracy_verified_by_margins(
            lambda b, x, y: output_margins(apply, b, x, y), box, inputs, label
        ),
    }
    assert share == {"logits": 0, "margins": 1}
    other = accuracy_verified_by_margins(
        lambda b, x, y: output_margins(apply, b, x, y), box, inputs, jnp.array([1])
    )
    assert other == 0


def test_margins_of_spiking_networks_hold_and_verify_no_less():
    labels = jnp.argmax(NET.forward(SPIKING, {}, INPUTS).logits, -1)

    @jax.jit
    def of(size):
        box, constants = box_around(SPIKING, size), NET.constants
        margins = lsnn_margins(box, INPUTS, labels, constants=constants)
        logits = NET.forward(BoxCorner(size).perturb(jax.random.key(1), SPIKING), {}, INPUTS).logits
        seen = jnp.take_along_axis(logits, labels[:, None], axis=-1) - logits
        of_logits = verified(lsnn_bounds(box, INPUTS, constants=constants), labels)
        return (margins - seen).max(), verified_by_margins(margins, labels), of_logits

    for size in (1e-5, 3e-3):
        excess, by_margins, by_logits = of(size)
        assert excess <= 0
        assert jnp.all(by_margins | ~by_logits)
