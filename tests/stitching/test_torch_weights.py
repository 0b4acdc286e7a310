"""Weights in torchvision's and RobustBench's layout: names, shapes, and the same answers as NumPy's."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxrobust.errors import InputError
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.named import NAMED
from jaxrobust.networks.preactivation import PreActivationNetwork
from jaxrobust.networks.residual import ResidualNetwork
from jaxrobust.networks.torch_layout import from_torch, torch_names
from jaxrobust.networks.vgg import VggClassifier
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.given_parameters import with_torch_weights
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases

RESIDUAL = LinenNetwork(ResidualNetwork((4, 6), (1, 1), "basic", 3), (8, 8, 3))
PREACT = LinenNetwork(PreActivationNetwork(4, (4, 6), 1, 3, 3), (8, 8, 3))
WIDE = LinenNetwork(PreActivationNetwork(4, (6, 8), 1, 1, 3), (8, 8, 3))
IMAGES = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)


def convolution(name, out, channels, size=3, bias=False):
    return {f"{name}.weight": (out, channels, size, size)} | ({f"{name}.bias": (out,)} if bias else {})


def norm(name, n):
    return {f"{name}.{each}": (n,) for each in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.num_batches_tracked": ()
    }


def dense(name, out, n):
    return {f"{name}.weight": (out, n), f"{name}.bias": (out,)}


def drawn(shapes):
    """A state dict of these shapes; running variances are positive."""
    random = np.random.default_rng(0)
    return {
        name: np.asarray(
            0.5 + random.random(shape) if "var" in name else random.normal(size=shape) / 2, np.float32
        )
        for name, shape in shapes.items()
    }


def residual_state(shortcut="downsample", last="fc"):
    return drawn(
        convolution("conv1", 4, 3) | norm("bn1", 4)
        | convolution("layer1.0.conv1", 4, 4) | norm("layer1.0.bn1", 4)
        | convolution("layer1.0.conv2", 4, 4) | norm("layer1.0.bn2", 4)
        | convolution("layer2.0.conv1", 6, 4) | norm("layer2.0.bn1", 6)
        | convolution("layer2.0.conv2", 6, 6) | norm("layer2.0.bn2", 6)
        | convolution(f"layer2.0.{shortcut}.0", 6, 4, 1) | norm(f"layer2.0.{shortcut}.1", 6)
        | dense(last, 3, 6)
    )  # fmt: skip


def preactivation_state(first, blocks, conv, size, sizes):
    """The layout of Gowal et al.: names of the first convolution, the blocks and their convolutions."""
    (in_1, out_1), (in_2, out_2) = sizes
    shapes = convolution(first, 4, 3)
    for block, n, out in zip(blocks, (in_1, in_2), (out_1, out_2), strict=True):
        shapes |= norm(f"{block}.batchnorm_0", n) | convolution(f"{block}.{conv[0]}", out, n)
        shapes |= norm(f"{block}.batchnorm_1", out) | convolution(f"{block}.{conv[1]}", out, out)
        shapes |= {} if n == out else convolution(f"{block}.shortcut", out, n, size)
    return drawn(shapes | norm("batchnorm", out_2) | dense("logits", 3, out_2))


PREACT_NAMES = ("conv_2d", ("layer_0.0", "layer_1.0"), ("conv_2d_1", "conv_2d_2"))
WIDE_NAMES = ("init_conv", ("layer.0.block.0", "layer.1.block.0"), ("conv_0", "conv_1"))
PREACT_STATE = preactivation_state(*PREACT_NAMES, 3, ((4, 4), (4, 6)))
WIDE_STATE = preactivation_state(*WIDE_NAMES, 1, ((4, 6), (6, 8)))


def conv(x, kernel, stride=1, pads=((0, 0), (0, 0))):
    """Cross-correlation of images (sample, channel, row, column), in float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pads))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, kernel)


def normalized(x, state, name):
    column = {each: state[f"{name}.{each}"][:, None, None] for each in ("weight", "bias")}
    mean, var = (state[f"{name}.running_{each}"][:, None, None] for each in ("mean", "var"))
    return (x - mean) / np.sqrt(var + 1e-5) * column["weight"] + column["bias"]


def swish(x):
    return x / (1 + np.exp(-x))


def residual_logits(state, x):
    one = ((1, 1), (1, 1))
    x = np.maximum(normalized(conv(x, state["conv1.weight"], 1, one), state, "bn1"), 0)
    for block, stride in (("layer1.0", 1), ("layer2.0", 2)):
        inner = conv(x, state[f"{block}.conv1.weight"], stride, one)
        inner = np.maximum(normalized(inner, state, f"{block}.bn1"), 0)
        inner = normalized(conv(inner, state[f"{block}.conv2.weight"], 1, one), state, f"{block}.bn2")
        if stride > 1:
            x = conv(x, state[f"{block}.downsample.0.weight"], stride)
            x = normalized(x, state, f"{block}.downsample.1")
        x = np.maximum(x + inner, 0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def preactivation_logits(state, x, first, blocks, convs, shortcut_takes_input):
    mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2471, 0.2435, 0.2616])
    x = (x - mean[:, None, None]) / std[:, None, None]
    x = conv(x, state[f"{first}.weight"], 1, ((1, 1), (1, 1)))
    for block, stride in zip(blocks, (1, 2), strict=True):
        pads = ((1, 1), (1, 1)) if stride == 1 else ((0, 1), (0, 1))
        active = swish(normalized(x, state, f"{block}.batchnorm_0"))
        if f"{block}.shortcut.weight" in state:
            source = np.pad(x, ((0, 0), (0, 0), *pads)) if shortcut_takes_input else active
            x = conv(source, state[f"{block}.shortcut.weight"], stride)
        inner = conv(active, state[f"{block}.{convs[0]}.weight"], stride, pads)
        inner = swish(normalized(inner, state, f"{block}.batchnorm_1"))
        x = x + conv(inner, state[f"{block}.{convs[1]}.weight"], 1, ((1, 1), (1, 1)))
    features = swish(normalized(x, state, "batchnorm")).mean((2, 3))
    return features @ state["logits.weight"].T + state["logits.bias"]


def ours(network, state):
    arrays = from_torch(network, state)
    like = jax.eval_shape(network.init, jax.random.key(0))
    tree = {"params": like.parameters, **like.statistics}

    def fill(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return arrays[name.removeprefix("params/")].astype(leaf.dtype)

    filled = jax.tree_util.tree_map_with_path(fill, tree)
    parameters = filled.pop("params")
    return network.forward(parameters, filled, IMAGES.transpose(0, 2, 3, 1)).logits


@pytest.mark.parametrize(
    ("network", "state", "logits"),
    [
        (RESIDUAL, residual_state(), residual_logits),
        (PREACT, PREACT_STATE, lambda s, x: preactivation_logits(s, x, *PREACT_NAMES, True)),
        (WIDE, WIDE_STATE, lambda s, x: preactivation_logits(s, x, *WIDE_NAMES, False)),
    ],
    ids=["residual", "preactivation", "wide"],
)
def test_imported_weights_answer_as_an_independent_forward_pass(network, state, logits):
    np.testing.assert_allclose(ours(network, state), logits(state, IMAGES), rtol=1e-4, atol=1e-4)


def test_robustbench_calls_shortcuts_and_the_last_layer_otherwise_and_wraps_names():
    wrapped = {f"module.model.{name}": array for name, array in residual_state("shortcut", "linear").items()}
    expected, found = from_torch(RESIDUAL, residual_state()), from_torch(RESIDUAL, wrapped)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_vgg_counts_through_torchvisions_features():
    network = LinenNetwork(VggClassifier(((4,), (6, 8)), 3, BatchNorm(), (5,)), (32, 32, 3))
    shapes = (
        convolution("features.0", 4, 3, bias=True) | norm("features.1", 4)
        | convolution("features.4", 6, 4, bias=True) | norm("features.5", 6)
        | convolution("features.7", 8, 6, bias=True) | norm("features.8", 8)
        | dense("classifier.0", 5, 8) | dense("classifier.3", 3, 5)
    )  # fmt: skip
    found = from_torch(network, drawn(shapes))
    assert found["conv3/kernel"].shape == (3, 3, 6, 8)
    np.testing.assert_array_equal(found["logits/kernel"], drawn(shapes)["classifier.3.weight"].T)


@pytest.mark.parametrize(
    ("name", "deep"),
    [
        ("resnet20_w1", "layer3.2.bn2.running_var"),
        ("resnet50", "layer3.5.bn3.running_var"),
        ("preactresnet18", "layer_3.1.conv_2d_2.weight"),
        ("wide_resnet_28_10", "layer.2.block.3.conv_1.weight"),
        ("vgg16", "features.41.bias"),
    ],
)
def test_every_array_of_large_networks_has_a_name_of_its_own(name, deep):
    named = torch_names(NAMED[name].build((32, 32, 3), 10))
    first = [names[0] for names, _ in named.values()]
    assert deep in first
    assert len(set(first)) == len(first)


def test_a_whole_state_dict_of_resnet18():
    network = NAMED["resnet18"].build((32, 32, 3), 10)
    back = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    state = {
        names[-1]: np.broadcast_to(np.float32(0), [shape[axis] for axis in back[len(shape)]])
        for names, shape in torch_names(network).values()
    }
    assert {"linear.bias", "layer2.0.shortcut.0.weight"} < state.keys()
    assert sum(array.size for array in from_torch(network, state).values()) == 11_173_962 + 9_600
    assert state["layer4.1.conv2.weight"].shape == (512, 512, 3, 3)


def test_a_file_becomes_a_point_that_is_evaluated(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    state = residual_state() | {"conv1.weight": np.ones((4, 1, 3, 3), np.float32)}
    state |= {"fc.weight": np.ones((10, 6), np.float32), "fc.bias": np.arange(10, dtype=np.float32)}
    network = LinenNetwork(ResidualNetwork((4, 6), (1, 1), "basic", 10), (8, 8, 1))
    point = training_point(network, "digits", schedule=Phases((1.0,), (1e-3,)))
    save_file(state, tmp_path / "weights.safetensors")
    np.savez(tmp_path / "weights.npz", **state)
    done = [with_torch_weights(point, tmp_path / f"weights.{kind}") for kind in ("safetensors", "npz")]
    assert done[0]["trained"] == done[1]["trained"]
    network, variables, inputs, _ = load_trained(done[0], n_samples=4)
    np.testing.assert_array_equal(variables.parameters["fc"]["bias"], np.arange(10))
    assert network.forward(*variables, inputs).logits.shape == (4, 10)


def changed(**arrays):
    state = {**residual_state(), **{name.replace("__", "."): array for name, array in arrays.items()}}
    return {name: array for name, array in state.items() if array is not None}


@pytest.mark.parametrize(
    ("network", "state", "says"),
    [
        (RESIDUAL, changed(bn1__weight=None), "have no 'bn1.weight' for 'bn1/scale'"),
        (RESIDUAL, changed(layer2__0__bn2__running_var=None), "have no 'layer2.0.bn2.running_var'"),
        (RESIDUAL, changed(mu=np.zeros(3), sigma=np.ones(3)), "no place for 'mu', 'sigma'"),
        (
            RESIDUAL,
            changed(conv1__weight=np.zeros((4, 3, 7, 7))),
            r"'conv1.weight' have shape \(4, 3, 7, 7\)",
        ),
        (RESIDUAL, WIDE_STATE, "have no 'bn1.bias'|have no 'bn1.weight'"),
        (MLP(3, (4,), 2), {}, "no PyTorch layout for a MLP"),
    ],
)
def test_what_does_not_fit_is_one_sentence(network, state, says):
    with pytest.raises(InputError, match=says) as error:
        from_torch(network, state)
    assert "\n" not in str(error.value)


def test_files_of_pytorch_are_not_read(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"\x80\x04.")
    point = training_point(NAMED["tiny10"], "digits_32x32", schedule=Phases((1.0,), (1e-3,)))
    with pytest.raises(InputError, match=r"neither a \.safetensors nor an \.npz"):
        with_torch_weights(point, tmp_path / "weights.pt")
