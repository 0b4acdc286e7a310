"""Networks of the stitching study: their sizes, how they are cut, and cutting and joining one network."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.images import convolve, convolve_by_rows
from jaxrobust.layers.linen import Convolution
from jaxrobust.networks.conv_stack import StridedCNN, Tiny10
from jaxrobust.networks.cuts import cut_positions, positions_after, positions_before, shape_at
from jaxrobust.networks.lenet import LeNet
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.named import Dense
from jaxrobust.networks.network import Variables
from jaxrobust.networks.preactivation import PreActResNet18, WideResNet
from jaxrobust.networks.residual import CifarResNet, ResNet20
from jaxrobust.networks.taps import EVERY, Taps
from jaxrobust.networks.vgg import Vgg
from jaxrobust.stitching.layers import Pointwise
from jaxrobust.stitching.stitched import Cut, Stitched

pytestmark = pytest.mark.usefixtures("quick_compilation")
COLOR = (32, 32, 3)


@pytest.mark.parametrize(
    ("recipe", "image", "n_parameters"),
    [
        (Tiny10(), COLOR, 86_778),
        (Tiny10(), (32, 32, 1), 86_490),
        (Tiny10(normalized=False), COLOR, 86_138),
        (ResNet20(1), COLOR, 272_474),
        (ResNet20(3), COLOR, 2_436_346),
        (ResNet20(5), COLOR, 6_758_810),
        (CifarResNet(18), COLOR, 11_173_962),
        (CifarResNet(34), COLOR, 21_282_122),
        (CifarResNet(50), COLOR, 23_520_842),
        (PreActResNet18(), COLOR, 12_548_426),
        (WideResNet(28, 10), COLOR, 36_479_194),
        (WideResNet(34, 10), COLOR, 46_160_474),
        (Vgg(11), COLOR, 9_391_498),
        (LeNet(), (32, 32, 1), 61_706),
        (Dense(), COLOR, 1_105_510),
    ],
)
def test_published_numbers_of_parameters(recipe, image, n_parameters):
    parameters = jax.eval_shape(recipe.build(image, 10).init, jax.random.key(0)).parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == n_parameters


@pytest.mark.parametrize(
    "make",
    [
        lambda: CifarResNet(20),
        lambda: WideResNet(27),
        lambda: StridedCNN(channels=(3,), strides=(1, 2)),
        lambda: Vgg(12),
        Vgg,
        LeNet,
    ],
)
def test_sizes_that_do_not_exist_are_refused(make):
    with pytest.raises(InputError):
        make().build((8, 8, 1), 2)


@pytest.mark.parametrize("channels", [1, 9])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (3, 3, 0), (1, 2, 0), (2, 1, 1)]
)
def test_convolutions_by_rows_are_those_of_xla_with_their_gradients(channels, size, stride, padding):
    x, kernel = (
        jax.random.normal(jax.random.key(n), shape)
        for n, shape in enumerate([(2, 7, 6, channels), (size, size, channels, 4)])
    )
    how = {"stride": stride, "padding": ((padding, padding), (0, padding))}

    def by_xla(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        strides = (stride, stride)
        return jax.lax.conv_general_dilated(x, kernel, strides, how["padding"], dimension_numbers=numbers)

    ours, back = jax.vjp(lambda x, kernel: convolve_by_rows(x, kernel, **how), x, kernel)
    reference, reference_back = jax.vjp(by_xla, x, kernel)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for found, expected in zip(back(jnp.sin(ours)), reference_back(jnp.sin(reference)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_convolution_is_the_sum_of_products():
    layer, x = Convolution(3, size=3, stride=2, padding=(0, 1), use_bias=True), jnp.ones((1, 4, 4, 2))
    variables = layer.init(jax.random.key(0), x)
    kernel, bias = variables["params"]["kernel"], np.arange(3, dtype=np.float32)
    given = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    without = np.asarray(convolve(x, kernel, stride=2, padding=((0, 1), (0, 1))))
    np.testing.assert_allclose(given, without + bias, rtol=1e-6)
    assert given.shape == (1, 2, 2, 3)
    np.testing.assert_allclose(given[0, 0, 0], np.asarray(kernel).sum((0, 1, 2)) + bias, rtol=1e-5)


@pytest.mark.parametrize(("shape", "pool"), [((4, 4, 1), 2), ((7, 9, 3), 2), ((6, 6, 2), 3)])
def test_images_are_averaged_over_squares_and_odd_edges_left_out(shape, pool):
    network = StridedCNN(channels=(2,), strides=(1,), pool=pool).build(shape, 3)
    images = jax.random.normal(jax.random.key(0), (2, *shape))
    variables = jax.jit(network.init)(jax.random.key(1))
    found = network.forward(*variables, images, tap=Taps(record=("pool",))).activations["pool"]
    height, width = shape[0] // pool, shape[1] // pool
    squares = np.asarray(images)[:, : height * pool, : width * pool]
    squares = squares.reshape(2, height, pool, width, pool, shape[2])
    np.testing.assert_allclose(found, squares.mean((2, 4)), rtol=1e-5, atol=1e-6)


SMALL = {
    "mlp": MLP(6, (5,), 3),
    "strided": StridedCNN(channels=(3, 4), strides=(1, 2), pool=1).build((4, 4, 1), 3),
    "tiny10": Tiny10().build((20, 20, 1), 3),
    "residual": ResNet20(depth=1).build((4, 4, 2), 3),
    "preactivation": WideResNet(10, 1, "relu", (0.5,), (0.3,)).build((4, 4, 1), 3),
}


@lru_cache
def prepared(name):
    """Variables away from their special starting values, and a batch."""
    network, rng = SMALL[name], np.random.default_rng(0)
    parameters, statistics = jax.jit(network.init)(jax.random.key(0))
    parameters = jax.tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape, np.float32), parameters)
    inputs = jnp.asarray(rng.standard_normal((2, *network.positions["input"]), np.float32))
    return network, Variables(parameters, statistics), inputs


def slow_but(quick):
    marks = {name: () if name == quick else pytest.mark.slow for name in SMALL}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.mark.parametrize("name", slow_but("strided"))
def test_a_network_joined_with_itself_is_itself_bit_for_bit_at_every_position(name):
    """The front's value, put into the end in place of its own, by the identity: op by op, nothing moves."""
    network, variables, inputs = prepared(name)
    with jax.disable_jit():
        plain = network.forward(*variables, inputs, tap=Taps(record=(EVERY,)))
        for position in network.positions:
            value = {position: plain.activations[position]}
            end = network.forward(*variables, inputs, tap=Taps(replace=value))
            np.testing.assert_array_equal(end.logits, plain.logits, err_msg=position)


@pytest.mark.parametrize("name", slow_but("mlp"))
def test_a_self_stitch_by_the_identity_is_the_network_compiled(name):
    network, variables, inputs = prepared(name)
    plain = jax.jit(network.forward)(*variables, inputs).logits
    for position in network.positions:
        stitched = Stitched(network, network, Cut.at(position), Pointwise("identity"))
        own = stitched.layer.init(jax.random.key(0), *stitched.shapes)
        logits = jax.jit(stitched.forward)(*stitched.join(variables, variables, own), inputs).logits
        np.testing.assert_allclose(logits, plain, rtol=1e-5, atol=1e-6, err_msg=position)


def test_residual_networks_are_cut_through_between_blocks_only():
    network = SMALL["residual"]
    assert cut_positions(network)[:7] == (
        "input",
        "conv1",
        "bn1",
        "relu",
        "layer1_0/add",
        "layer1_0/relu",
        "layer1_0",
    )
    before = positions_before(network, "layer2_0/shortcut_bn")
    assert "layer2_0/shortcut_conv" in before
    assert "layer2_0/conv1" not in before
    assert positions_after(network, "features") == ("fc", "logits")


def test_every_position_of_a_chain_is_a_cut():
    assert cut_positions(SMALL["strided"]) == tuple(SMALL["strided"].positions)


def test_an_unknown_position_is_one_sentence():
    with pytest.raises(InputError, match=r"no position 'rely1'; .* Did you mean 'relu1'"):
        shape_at(SMALL["mlp"], "rely1")
