"""The promises of ``Network``, of every network of the library."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.layers.kernels import make_kernel
from jaxrobust.layers.linen import Normalization, linen_kernel
from jaxrobust.layers.lipschitz import BCOP, OSSN, Chain, Flatten, LipschitzConv, MaxMin
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lenet import LeNet5
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Network, Variables
from jaxrobust.networks.resnet import ResNet
from jaxrobust.networks.standardized import Standardized
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import EVERY, NO_TAPS, Taps
from jaxrobust.networks.vgg import VggModule
from jaxrobust.stitching.stitched import Cut, Stitched
from jaxrobust.trees import settings_tree

KEY = jax.random.key(5)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def normalized_weights(p):
    return p["gain"] * p["direction"] / (1e-6 + jnp.sqrt(1e-12 + jnp.sum(p["direction"] ** 2, axis=0)))


def draw_weights(key, shape):
    return {"direction": jax.random.normal(key, shape), "gain": jnp.ones(shape[1])}


@dataclass(frozen=True)
class WeightNormalized:
    """One dense layer with a parameterized kernel, written without any framework."""

    @property
    def positions(self):
        return positions_of(self, (4,))

    def init(self, key):
        return Variables({"dense": draw_weights(key, (4, 3)), "b": jnp.zeros(3)}, {})

    def forward(self, parameters, statistics, inputs, *, key=None, training=False, tap=NO_TAPS):
        def compute(tap):
            kernel = make_kernel(parameters["dense"], normalized_weights)
            return tap("logits", tap("input", inputs) @ kernel + parameters["b"]), statistics

        return run_with_taps(self, compute, tap, key=key, training=training)

    def bake(self, parameters, statistics=None):
        return parameters | {"dense": make_kernel(parameters["dense"], normalized_weights)}


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1], 3)
        return x @ linen_kernel(self, "kernel", lambda key: draw_weights(key, shape), normalized_weights)


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, *, training, tap):
        inner = nn.Conv(2, (3, 3), name="conv")(x)
        inner = Normalization(BatchNorm(variance="unbiased"), name="bn")(inner, training=training)
        return tap("relu", nn.relu(x + inner))


class Residual(nn.Module):
    """Everything at once: taps, statistics of two kinds, dropout and a parameterized kernel."""

    @nn.compact
    def __call__(self, x, *, training, tap):
        x = Block(name="block")(x, training=training, tap=tap.within("block"))
        x = nn.BatchNorm(use_running_average=not training, name="bn")(x)
        x = nn.Dropout(0.3, deterministic=not training)(x)
        return Dense(name="readout")(jnp.mean(x, axis=(1, 2)))


class Plain(nn.Module):
    """A module that knows nothing of this library."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.tanh(nn.Dense(5)(x)))


class Case(NamedTuple):
    network: Network
    shape: tuple[int, ...]


SMALL_CNN = partial(CNN, image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4))
SMALL_LENET = LeNet5(3, BatchNorm(variance="unbiased"), (2, 3), (5, 4))
SMALL_LSNN = partial(LSNN, 4, 3, n_hidden=7)
LIPSCHITZ = Chain(
    (
        LipschitzConv(2, 4, 2, BCOP(), name="conv1"),
        MaxMin(name="maxmin"),
        LipschitzConv(3, 1, 1, OSSN(2), name="conv2"),
        Flatten(name="flatten"),
    )
)
CASES = {
    "mlp": Case(MLP(6, (5, 4), 3), (6,)),
    "mlp, no biases": Case(MLP(6, (5,), 3, start="glorot", has_biases=False), (6,)),
    "mlp, dropout": Case(MLP(6, (5, 4), 3, dropout=0.3), (2, 3)),
    "mlp, normalized": Case(MLP(6, (5, 4), 3, "uniform", normalization=BatchNorm()), (6,)),
    "lenet": Case(LinenNetwork(SMALL_LENET, (16, 17, 2)), (16, 17, 2)),
    "vgg": Case(LinenNetwork(VggModule(((2,), (3,)), 3, BatchNorm()), (8, 8, 2)), (8, 8, 2)),
    "cnn": Case(SMALL_CNN(), (12, 13, 2)),
    "cnn, by batch, dropout": Case(SMALL_CNN(normalization="batch", dropout=0.3), (12, 13, 2)),
    "resnet": Case(ResNet(image=(8, 8, 2), n_out=3, n_blocks=1, channels=(2, 4, 8)), (8, 8, 2)),
    "lsnn": Case(SMALL_LSNN(), (9, 4)),
    "lsnn, dropout": Case(SMALL_LSNN(dropout=0.3), (9, 4)),
    "lsnn, own thresholds": Case(SMALL_LSNN(neuron_parameters=("thr",)), (9, 4)),
    "lsnn, each step": Case(SMALL_LSNN(readout="each_step", dropout=0.3), (9, 4)),
    "weight normalized": Case(WeightNormalized(), (4,)),
    "linen, residual": Case(LinenNetwork(Residual(), (4, 4, 2)), (4, 4, 2)),
    "linen, plain": Case(LinenNetwork(Plain(), (4,)), (4,)),
    "stitched": Case(Stitched(MLP(6, (5,), 3), MLP(6, (4, 5), 3), Cut("relu1", "fc1")), (6,)),
    "lipschitz": Case(LinenNetwork(LIPSCHITZ, (4, 4, 2)), (4, 4, 2)),
    "standardized": Case(Standardized(SMALL_CNN(), (0.5, 0.4), (0.25, 0.5)), (12, 13, 2)),
}
# Leaves that baking saves: BCOP's kernel is made of two.
KERNELS_TO_BAKE = {"weight normalized": 1, "linen, residual": 1, "lipschitz": 1}
every_case = pytest.mark.parametrize("name", CASES)


@settings_tree
@dataclass(frozen=True)
class Push:
    """``x`` plus ``amount`` times numbers that differ between elements, and compile faster than draws."""

    amount: Any

    def perturb(self, key, tree):
        numbers = jnp.sin(1.0 + jnp.arange(tree.size, dtype=tree.dtype)).reshape(tree.shape)
        return tree + self.amount * numbers


@partial(jax.jit, static_argnums=0)
def init(network, key):
    return network.init(key)


@lru_cache
def prepared(name: str, seed: int = 0):
    """Parameters away from their special starting values, statistics and a batch."""
    network, shape = CASES[name]
    rng = np.random.default_rng(seed)
    parameters, statistics = init(network, jax.random.key(seed))
    parameters = jax.tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape, np.float32), parameters)
    return parameters, statistics, jnp.asarray(rng.standard_normal((3, *shape), np.float32))


@partial(jax.jit, static_argnames=("network", "training"))
def forward(network, parameters, statistics, inputs, tap=NO_TAPS, training=True):
    return network.forward(parameters, statistics, inputs, key=KEY, training=training, tap=tap)


@lru_cache
def plain(name: str, training: bool = True):
    return forward(CASES[name].network, *prepared(name), training=training)


@lru_cache
def recorded(name: str):
    return forward(CASES[name].network, *prepared(name), Taps(record=(EVERY,)))


def assert_close(one, other, atol=1e-5):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-5)


@every_case
def test_describes_itself(name):
    network = CASES[name].network
    assert isinstance(network, Network)
    assert hash(network) == hash(network)
    assert network == network


@every_case
def test_compiled_equals_uncompiled(name):
    network = CASES[name].network
    assert_close(network.forward(*prepared(name), key=KEY, training=True), plain(name))


@every_case
def test_vmap_over_parameters_equals_a_loop(name):
    network = CASES[name].network
    one, statistics, inputs = prepared(name)
    other = prepared(name, seed=1)[0]
    together = jax.vmap(lambda p: forward(network, p, statistics, inputs).logits)(
        jax.tree.map(lambda a, b: jnp.stack([a, b]), one, other)
    )
    assert_close(together[0], plain(name).logits)
    assert_close(together[1], forward(network, other, statistics, inputs).logits)


@every_case
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_keeps_the_dtype(name, dtype):
    network, values = CASES[name].network, prepared(name)  # kept for other tests, so not made under x64
    promotion = "standard" if name.startswith("linen") else "strict"  # Flax's layers promote inside
    with jax.enable_x64(True), jax.numpy_dtype_promotion(promotion):
        parameters, statistics, inputs = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), values
        )

        def run(parameters, statistics, inputs, training):
            tap = Taps(record=(EVERY,))
            return network.forward(parameters, statistics, inputs, key=KEY, training=training, tap=tap)

        for training in (False, True):
            outputs = jax.eval_shape(partial(run, training=training), parameters, statistics, inputs)
            assert {str(leaf.dtype) for leaf in jax.tree.leaves(outputs)} == {dtype}


@every_case
def test_stays_finite_at_zero(name):
    network = CASES[name].network
    parameters, statistics, inputs = prepared(name)
    zero = jax.tree.map(jnp.zeros_like, parameters)

    @jax.jit
    def slopes(parameters, inputs):
        def loss(parameters, inputs):
            outputs = network.forward(parameters, statistics, inputs, key=KEY, training=True)
            return jnp.sum((outputs.logits - 1) ** 2) + sum(map(jnp.sum, outputs.activations.values()))

        return jax.value_and_grad(loss, argnums=(0, 1))(parameters, inputs)

    for p, x in ((zero, inputs), (zero, 0 * inputs), (parameters, 0 * inputs)):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes(p, x)))


@every_case
def test_outside_of_training_nothing_is_drawn_and_statistics_stay(name):
    network = CASES[name].network
    jax.eval_shape(network.forward, *prepared(name))  # without a key
    statistics = plain(name, training=False).statistics
    jax.tree.map(np.testing.assert_array_equal, statistics, prepared(name)[1])


@every_case
def test_positions_are_true(name):
    network = CASES[name].network
    positions, activations = network.positions, recorded(name).activations
    assert next(iter(positions)) == "input"
    assert positions.keys() | plain(name).activations.keys() == activations.keys()
    for position, shape in positions.items():
        value = activations[position]
        assert value.shape[0] == 3
        assert len(value.shape) == len(shape) + 1
        assert all(size in (None, found) for size, found in zip(shape, value.shape[1:], strict=True))
        assert shape[-1] is not None


@every_case
def test_recording_changes_nothing(name):
    outputs = recorded(name)
    assert_close(outputs._replace(activations={}), plain(name)._replace(activations={}), atol=1e-6)


@every_case
def test_replacing_by_what_is_recorded_changes_nothing_downstream(name):
    network = CASES[name].network
    positions = list(network.positions)
    for index in {0, 2 * len(positions) // 3}:
        after = positions[index:]
        replace = {positions[index]: recorded(name).activations[positions[index]]}
        outputs = forward(network, *prepared(name), Taps(record=tuple(after), replace=replace))
        assert_close(outputs.logits, plain(name).logits)
        for position in after:
            assert_close(outputs.activations[position], recorded(name).activations[position])


@every_case
def test_zero_noise_changes_nothing_and_every_position_matters(name):
    network = CASES[name].network
    amounts = dict.fromkeys(network.positions, 0.0)
    values = prepared(name)  # kept for other tests, so not made while tracing

    @jax.jit
    def pushed(amounts):
        tap = Taps(perturb={position: Push(amount) for position, amount in amounts.items()})
        logits = network.forward(*values, key=KEY, training=True, tap=tap).logits
        return jnp.sum(logits * jnp.arange(1.0, logits.size + 1).reshape(logits.shape)), logits

    (_, logits), slopes = jax.value_and_grad(pushed, has_aux=True)(amounts)
    assert_close(logits, plain(name).logits)
    assert all(slope != 0 for slope in slopes.values()), slopes


@every_case
def test_other_numbers_recompile_nothing(name):
    network = CASES[name].network
    last, n_traces = list(network.positions)[-1], 0

    @jax.jit
    def run(parameters, statistics, inputs, tap):
        nonlocal n_traces
        n_traces += 1  # each trace makes a program of its own
        return network.forward(parameters, statistics, inputs, key=KEY, training=True, tap=tap).logits

    value = recorded(name).activations["input"]
    for seed, amount in enumerate((0.1, 0.7)):
        tap = Taps(record=(last,), perturb={last: Push(amount)}, replace={"input": amount * value})
        run.trace(*prepared(name, seed), tap)
    assert n_traces == 1


@every_case
def test_unknown_positions_are_refused(name):
    network = CASES[name].network
    for tap in (
        Taps(record=("fc99",)),
        Taps(perturb={"fc99": Push(0.1)}),
        Taps(replace={"fc99": jnp.zeros(3)}),
    ):
        with pytest.raises(InputError, match=r"no position 'fc99'; its positions are input"):
            network.forward(*prepared(name), tap=tap)


@every_case
def test_baked_parameters_give_the_same(name):
    network = CASES[name].network
    parameters, statistics, inputs = prepared(name)
    baked = jax.jit(network.bake)(parameters, statistics)
    n_parts = len(jax.tree.leaves(parameters)) - len(jax.tree.leaves(baked))
    assert n_parts == KERNELS_TO_BAKE.get(name, 0)
    expected = plain(name)
    if name == "lipschitz":  # what making a kernel remembers stays as it is where kernels are given
        expected = expected._replace(statistics=statistics)
    assert_close(forward(network, baked, statistics, inputs), expected)
    again = network.bake(baked, statistics)
    assert jax.tree.structure(again) == jax.tree.structure(baked)
