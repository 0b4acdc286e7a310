"""Users' networks of every kind against the same models written out by hand."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # as -import=own_networks.py does

import own_networks as own
from flax import nnx

from jaxrobust import networks
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.attacks.robust_loss import robust_loss
from jaxrobust.errors import InputError
from jaxrobust.networks.own import registry
from jaxrobust.training.methods import Batch, Objective, ParameterAttackTraining, Standard
from jaxrobust.training.methods.objective import keys_of

KEY = jax.random.key(3)
INPUTS = jax.random.normal(jax.random.key(0), (8, 4))
LABELS = jnp.arange(8) % 3
pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(autouse=True)
def _no_names(monkeypatch):
    monkeypatch.setattr(registry, "_networks", {})


def built(**functions):
    return networks.register("mine", **functions).build((4,), 3)


def test_a_plain_function_with_a_setting():
    described = networks.register("mine", init=own.init, apply=own.apply, settings={"width": 5})
    network = described.build((4,), 3)
    parameters, statistics = network.init(KEY)
    assert parameters["w1"].shape == (4, 5)
    np.testing.assert_array_equal(
        network.forward(parameters, statistics, INPUTS).logits, own.apply(parameters, INPUTS)
    )
    wider = described.with_settings(width=7).build((4,), 3)
    assert wider.init(KEY).parameters["w1"].shape == (4, 7)
    assert hash(network) == hash(described.build((4,), 3))
    assert "0x" not in repr(network)
    assert "0x" not in repr(described)


def test_a_linen_module():
    network = built(make=own.make_linen, settings={"width": 6})
    parameters, statistics = network.init(KEY)
    expected = own.make_linen(3, 6).apply({"params": parameters}, INPUTS)
    np.testing.assert_array_equal(network.forward(parameters, statistics, INPUTS).logits, expected)


def by_hand(parameters, statistics, inputs, mask):
    """``own_networks.Block`` in training, without any library: logits and new statistics."""
    x = inputs @ parameters["first/kernel"] + parameters["first/bias"]
    mean, var = x.mean(0), x.var(0)
    y = (x - mean) / jnp.sqrt(var + 1e-5) * parameters["norm/scale"] + parameters["norm/bias"]
    logits = (jax.nn.relu(y) * mask) @ parameters["last/kernel"] + parameters["last/bias"]
    new = {
        "norm/mean": 0.99 * statistics["norm/mean"] + 0.01 * mean,
        "norm/var": 0.99 * statistics["norm/var"] + 0.01 * var,
    }
    return logits, new


def close(one, other, atol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), one, other)


def mask_of(key):
    """The dropout mask of the model's only random stream, read off the library's own layer."""
    layer = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    definition, state = nnx.split(layer)
    flat = nnx.to_pure_dict(state)
    seeded = jax.tree.map(
        lambda leaf: (
            jax.random.fold_in(key, 0)
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else jnp.zeros_like(leaf)
        ),
        flat,
    )
    nnx.replace_by_pure_dict(state, seeded)
    model = nnx.merge(definition, state)
    model.train()
    return model(jnp.ones((8, 6)))


@pytest.mark.slow
def test_nnx_with_batch_norm_and_dropout_under_the_robust_loss_equals_one_by_hand():
    network = built(make=own.Block)
    parameters, statistics = network.init(KEY)
    attack = ParameterAttack(relative_size=0.1, n_steps=3, norm="2")
    method = ParameterAttackTraining(Standard(), 0.5, attack)

    @jax.jit
    def library(parameters, statistics, key):
        objective = Objective(network, statistics, Batch(INPUTS, LABELS))
        return jax.value_and_grad(lambda p: method.loss(objective, p, key), has_aux=True)(parameters)

    @jax.jit
    def hand(parameters, statistics, key):
        mask = mask_of(keys_of(key).dropout)

        def loss(p):
            logits, new = by_hand(p, statistics, INPUTS, mask)
            task = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()
            robust = robust_loss(
                lambda p, x: by_hand(p, statistics, x, mask)[0], p, INPUTS, keys_of(key).attack, attack
            )
            return task + 0.5 * robust, new

        return jax.value_and_grad(loss, has_aux=True)(parameters)

    one, other = (parameters, statistics), (parameters, statistics)
    for step in range(20):
        key = jax.random.fold_in(KEY, step)
        (loss, outputs), gradient = library(*one, key)
        (expected, new), by_hand_gradient = hand(*other, key)
        tolerance = 1e-6 if step == 0 else 1e-5
        close((loss, gradient), (expected, by_hand_gradient), tolerance)
        close(outputs.statistics, new, 1e-5)
        one = jax.tree.map(lambda p, g: p - 0.1 * g, one[0], gradient), outputs.statistics
        other = jax.tree.map(lambda p, g: p - 0.1 * g, other[0], by_hand_gradient), new


def test_nnx_draws_from_the_key_and_only_in_training():
    network = built(make=own.Block)
    parameters, statistics = network.init(KEY)
    still = network.forward(parameters, statistics, INPUTS)
    np.testing.assert_array_equal(
        still.logits, network.forward(parameters, statistics, INPUTS, key=KEY).logits
    )
    assert still.statistics is statistics
    one, other = (
        network.forward(parameters, statistics, INPUTS, key=jax.random.key(i), training=True).logits
        for i in (1, 2)
    )
    assert not np.allclose(one, other)
    with pytest.raises(InputError, match="draws random numbers in training"):
        network.forward(parameters, statistics, INPUTS, training=True)


def test_equinox_with_dropout_and_with_state():
    network = built(make=own.Equinox)
    parameters, statistics = network.init(KEY)
    assert set(parameters) == {"first/weight", "first/bias", "last/weight", "last/bias"}
    hidden = jax.nn.relu(INPUTS @ parameters["first/weight"].T + parameters["first/bias"])
    expected = hidden @ parameters["last/weight"].T + parameters["last/bias"]
    np.testing.assert_allclose(network.forward(parameters, statistics, INPUTS).logits, expected, atol=1e-6)
    one, other = (
        network.forward(parameters, statistics, INPUTS, key=jax.random.key(i), training=True).logits
        for i in (1, 2)
    )
    assert not np.allclose(one, other)


def test_equinox_with_batch_statistics():
    network = networks.register("normalized", own.make_normalized).build((4,), 3)
    parameters, statistics = network.init(KEY)
    assert not any(name.startswith("state") for name in parameters)
    outputs = network.forward(parameters, statistics, INPUTS, key=KEY, training=True)
    np.testing.assert_allclose(outputs.logits.mean(0), 0, atol=1e-5)
    assert jax.tree.structure(outputs.statistics) == jax.tree.structure(statistics)
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), outputs.statistics, statistics)
    assert any(moved.values())


def test_bad_networks_are_refused_in_a_sentence():
    def local(key):
        return {}

    with pytest.raises(InputError, match="either make, or both init and apply"):
        networks.register("mine", init=own.init)
    with pytest.raises(InputError, match="which worker processes cannot import"):
        networks.register("mine", init=local, apply=own.apply)
    with pytest.raises(InputError, match="takes the setting 'depth'"):
        networks.register("mine", init=own.init, apply=own.apply, settings={"depth": 2})
    networks.register("mine", init=own.init, apply=own.apply)
    networks.register("mine", init=own.init, apply=own.apply)  # a file imported twice
    with pytest.raises(InputError, match="a network 'mine' already"):
        networks.register("mine", own.Block)
    with pytest.raises(InputError, match=r"outputs of shape \(2, 1\) .* return \(batch, 3\)"):
        networks.register("odd", init=own.init, apply=own.wrong).build((4,), 3)
    with pytest.raises(InputError, match=r"does not work for samples of shape \(4, 5\)"):
        networks.register("flat", init=own.init, apply=own.apply).build((4, 5), 3)
