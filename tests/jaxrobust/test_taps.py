"""What taps leave out of a program, what they draw, and what they refuse."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.resnet import ResNet
from jaxrobust.networks.taps import NO_TAPS, Tap, Taps
from jaxrobust.perturbations.noise import AdditiveNoise
from jaxrobust.perturbations.perturbation import at

KEY = jax.random.key(1)
SMALL_MLP = MLP(6, (5, 4), 3)
SMALL_CNN = CNN(image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4))
SMALL_RESNET = ResNet(image=(8, 8, 2), n_out=3, n_blocks=1, channels=(2, 4, 8))


@lru_cache
def variables_and_inputs(network):
    x = np.random.default_rng(0).standard_normal((4, *network.positions["input"]), np.float32)
    return *jax.jit(network.init)(jax.random.key(0)), jnp.asarray(x)


def compiled(network, position=None, training=True):
    """The program of a training step's forward pass, with the value at one position given."""
    variables = variables_and_inputs(network)
    replace = {}
    if position is not None:
        replace = {position: jnp.zeros((4, *network.positions[position]))}

    def run(parameters, statistics, inputs, replace):
        tap = Taps(replace=replace)
        return network.forward(parameters, statistics, inputs, key=KEY, training=training, tap=tap)

    return jax.jit(run).lower(*variables, replace).compile()


def n_products(program):
    text = program.as_text()
    return text.count(" dot(") + text.count(" convolution(")


@pytest.mark.parametrize(
    ("network", "position", "n_left"),
    [
        (SMALL_MLP, None, 3),
        (SMALL_MLP, "input", 3),
        (SMALL_MLP, "fc1", 2),
        (SMALL_MLP, "relu2", 1),
        (SMALL_MLP, "logits", 0),
        (SMALL_CNN, None, 5),
        (SMALL_CNN, "norm_input", 5),
        (SMALL_CNN, "relu1", 4),
        (SMALL_CNN, "pool2", 3),
        (SMALL_CNN, "norm_last", 1),
        (SMALL_RESNET, None, 8),
        (SMALL_RESNET, "stem/bn", 7),
        (SMALL_RESNET, "stage1_block1/relu1", 7),  # the shortcut still needs the stem
        (SMALL_RESNET, "stage2_block1/add", 3),
        (SMALL_RESNET, "features", 1),
    ],
)
def test_what_a_replacement_makes_superfluous_is_not_computed(network, position, n_left):
    assert n_products(compiled(network, position)) == n_left


@pytest.mark.parametrize(
    ("network", "position"), [(SMALL_CNN, "norm_last"), (SMALL_RESNET, "features"), (SMALL_MLP, "relu2")]
)
def test_a_replaced_program_costs_what_its_last_layers_cost(network, position):
    cost = compiled(network, position).cost_analysis()["flops"]
    n_features, n_out = network.positions[position][-1], 3
    assert cost <= 4 * 4 * (n_features + 1) * n_out
    assert cost < 0.3 * compiled(network).cost_analysis()["flops"]


def changed(old, new):
    """Paths of the statistics that differ."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(old), jax.tree.leaves(new), strict=True)
    return {jax.tree_util.keystr(path[:-1]) for (path, a), b in pairs if np.any(a != b)}


@pytest.mark.parametrize(
    ("replaced", "record", "layers"),
    [
        ("stem/bn", (), {"stage1_block1", "stage2_block1", "stage3_block1"}),
        ("stage2_block1/conv1", (), {"stem", "stage1_block1", "stage2_block1", "stage3_block1"}),
        ("stage2_block1/add", (), {"stage3_block1"}),
        ("stage2_block1/add", ("stem/relu",), {"stem", "stage3_block1"}),
        ("logits", (), set()),
    ],
)
def test_statistics_of_superfluous_layers_stay(replaced, record, layers):
    parameters, statistics, x = variables_and_inputs(SMALL_RESNET)
    value = jax.random.normal(KEY, (4, *SMALL_RESNET.positions[replaced]))

    @jax.jit
    def run(value):
        tap = Taps(record=record, replace={replaced: value})
        return SMALL_RESNET.forward(parameters, statistics, x, training=True, tap=tap).statistics

    new = run(value)
    assert {path.split("'")[1] for path in changed(statistics, new)} == layers
    mapped = jax.vmap(run)(value[None])
    assert changed(statistics, jax.tree.map(lambda leaf: leaf[0], mapped)) == changed(statistics, new)


def test_gradients_pass_through_replacements():
    parameters, statistics, x = variables_and_inputs(SMALL_CNN)

    @jax.jit
    def loss(parameters, value):
        tap = Taps(replace={"pool2": value})
        return jnp.sum(SMALL_CNN.forward(parameters, statistics, x, training=True, tap=tap).logits[:, 0])

    value = jax.random.normal(KEY, (4, *SMALL_CNN.positions["pool2"]))
    by_parameters, by_value = jax.grad(loss, argnums=(0, 1))(parameters, value)
    assert np.abs(by_value).max() > 0
    assert np.abs(by_parameters["w1"]).max() > 0
    assert np.abs(by_parameters["k1"]).max() == 0


def test_a_position_draws_the_same_whatever_else_is_perturbed():
    network, (parameters, statistics, x) = SMALL_MLP, variables_and_inputs(SMALL_MLP)

    def fc2(**stds):
        tap = Taps(record=("fc1", "fc2"), perturb={name: AdditiveNoise(std) for name, std in stds.items()})
        return network.forward(parameters, statistics, x, key=KEY, tap=tap).activations

    plain = fc2()
    alone, both = fc2(fc1=0.5), fc2(fc1=0.5, logits=2.0)
    np.testing.assert_array_equal(alone["fc1"], both["fc1"])
    noise = alone["fc1"] - plain["fc1"]
    assert np.std(noise) == pytest.approx(0.5, rel=0.4)
    assert len(np.unique(noise)) == noise.size  # new for every unit and sample
    other = (fc2(fc2=0.5)["fc2"] - plain["fc2"])[:, :4]
    assert np.abs(other - noise[:, :4]).max() > 0.1
    # Dropout masks draw from the same key, and are left as they are.
    dropping = MLP(6, (5, 4), 3, dropout=0.5)
    run = partial(dropping.forward, parameters, statistics, x, key=KEY, training=True)
    np.testing.assert_array_equal(run(tap=Taps(perturb={"fc1": AdditiveNoise(0.0)})).logits, run().logits)


def test_replace_then_perturb_then_record():
    parameters, statistics, x = variables_and_inputs(SMALL_MLP)
    tap = Taps(record=("fc1",), perturb={"fc1": AdditiveNoise(0.1)}, replace={"fc1": jnp.full((4, 5), 7.0)})
    value = SMALL_MLP.forward(parameters, statistics, x, key=KEY, tap=tap).activations["fc1"]
    assert 0 < np.abs(value - 7).max() < 1


def test_perturbations_may_carry_their_position_and_strengths_be_an_axis():
    parameters, statistics, x = variables_and_inputs(SMALL_MLP)

    def logits(perturb):
        return SMALL_MLP.forward(parameters, statistics, x, key=KEY, tap=Taps(perturb=perturb)).logits

    np.testing.assert_array_equal(
        logits((at("fc2", AdditiveNoise(0.3)),)), logits({"fc2": AdditiveNoise(0.3)})
    )
    levels = jnp.array([0.0, 0.3])
    many = jax.vmap(lambda std: logits((at("fc2", AdditiveNoise(std)),)))(levels)
    np.testing.assert_allclose(many[1], logits({"fc2": AdditiveNoise(0.3)}), atol=1e-6)
    np.testing.assert_allclose(many[0], logits(()), atol=1e-6)
    with pytest.raises(InputError, match="chain them"):
        logits((at("fc2", AdditiveNoise(0.3)), at("fc2", AdditiveNoise(0.1))))


def test_silent_positions_add_nothing_to_the_program():
    variables = variables_and_inputs(SMALL_CNN)

    def text(tap):
        def run(parameters, statistics, inputs):
            return SMALL_CNN.forward(parameters, statistics, inputs, training=True, tap=tap)

        return jax.jit(run).lower(*variables).as_text()

    assert text(NO_TAPS) == text(Taps(perturb={}, replace={}))
    assert text(NO_TAPS) != text(Taps(record=("relu1",)))


def test_inputs_that_make_no_sense_are_refused():
    parameters, statistics, x = variables_and_inputs(SMALL_MLP)

    def run(tap):
        return SMALL_MLP.forward(parameters, statistics, x, tap=tap)

    with pytest.raises(InputError, match="pass key="):
        run(Taps(perturb={"fc1": AdditiveNoise(0.1)}))
    with pytest.raises(InputError, match=r"'fc1' has shape \(4, 5\), its replacement \(5,\)"):
        run(Taps(replace={"fc1": jnp.zeros(5)}))
    with pytest.raises(InputError, match="must be a tuple"):
        Taps(record="fc1")  # pyright: ignore[reportArgumentType]
    tap = Tap()
    tap("a", x)
    tap.within("block")("a", x)
    with pytest.raises(InputError, match="'a' twice"):
        tap("a", x)


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        shared = nn.Dense(4, name="shared")
        x = nn.remat(nn.Dense)(4, name="inside")(nn.relu(shared(shared(x))))
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)


def test_linen_modules_without_changes():
    network = LinenNetwork(Twice(), (4,))
    assert list(network.positions) == ["input", "shared", "shared#2", "BatchNorm_0", "logits"]
    parameters, statistics, x = variables_and_inputs(network)
    expected, new = Twice().apply(
        {"params": parameters, **statistics}, x, train=True, mutable=["batch_stats"]
    )
    outputs = network.forward(parameters, statistics, x, training=True)
    np.testing.assert_array_equal(outputs.logits, expected)
    jax.tree.map(np.testing.assert_array_equal, outputs.statistics, dict(new))
    plain = Twice().apply({"params": parameters, **statistics}, x, train=False)
    np.testing.assert_array_equal(network.forward(parameters, statistics, x).logits, plain)
    with pytest.raises(InputError, match=r"takes inputs of shape \(batch, 4\)"):
        network.forward(parameters, statistics, jnp.zeros((2, 5)))


class Drops(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic: bool):
        return nn.Dropout(0.5, deterministic=deterministic)(x)


def test_linen_dropout_needs_a_key_in_training_only():
    network = LinenNetwork(Drops(), (4,))
    x = jnp.ones((2, 4))
    np.testing.assert_array_equal(network.forward({}, {}, x).logits, x)
    dropped = network.forward({}, {}, x, key=KEY, training=True).logits
    assert set(np.unique(dropped)) == {0.0, 2.0}
    with pytest.raises(InputError, match="pass key="):
        network.forward({}, {}, x, training=True)
