"""MLP, LeNet-5, keyword CNNs and VGG: positions and sizes of Borras, Klein and Fröning (arXiv 2212.10430)."""

import jax
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.keyword_cnn import KeywordConvolutions, keyword_cnn
from jaxrobust.networks.lenet import LeNet5, lenet5
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.vgg import VggModule, vgg

pytestmark = pytest.mark.usefixtures("quick_compilation")
NORM = BatchNorm(variance="unbiased")


def mlp(n_in, n_out, norm=None):
    return MLP(n_in, (64, 64, 64), n_out, "uniform", normalization=norm)


CASES = {
    "mlp, mnist": (mlp(784, 10), 59_210, 8),
    "mlp, mnist, norm": (mlp(784, 10, NORM), 59_594, 11),
    "mlp, cifar": (mlp(3072, 10), 205_642, 8),
    "mlp, cifar, norm": (mlp(3072, 10, NORM), 206_026, 11),
    "mlp, keywords": (mlp(490, 12), 40_524, 8),
    "mlp, keywords, norm": (mlp(490, 12, NORM), 40_908, 11),
    "lenet, mnist": (lenet5(), 44_426, 12),
    "lenet, mnist, norm": (lenet5(normalization=NORM), 44_878, 16),
    "lenet, cifar": (lenet5((32, 32, 3)), 62_006, 12),
    "lenet, cifar, norm": (lenet5((32, 32, 3), normalization=NORM), 62_458, 16),
    "cnn-s": (keyword_cnn(), 205_414, 8),
    "cnn-s, norm": (keyword_cnn(normalization=NORM), 205_786, 11),
    "cnn-m, norm": (keyword_cnn("M", normalization=NORM), 398_044, 11),
    "cnn-l, norm": (keyword_cnn("L", normalization=NORM), 615_172, 11),
    "vgg11": (vgg(), None, 24),
    "vgg11, norm": (vgg(normalization=NORM), None, 32),
    "vgg11, mnist": (vgg(image=(28, 28, 1)), None, 22),
    "vgg11, mnist, norm": (vgg(image=(28, 28, 1), normalization=NORM), None, 29),
}


@pytest.mark.parametrize("name", CASES)
def test_positions_and_parameters_are_as_many_as_published(name):
    network, n_parameters, n_positions = CASES[name]
    positions = network.positions
    assert len(positions) == n_positions
    assert next(iter(positions)) == "input"
    assert list(positions)[-1] == "logits"
    if n_parameters:
        parameters = jax.eval_shape(network.init, jax.random.key(0)).parameters
        assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == n_parameters


def test_elements_per_sample_are_as_published():
    assert [int(np.prod(shape)) for shape in lenet5((32, 32, 3)).positions.values()] == [
        *(3072, 4704, 4704, 1176, 1600, 1600, 400, 120, 120, 84, 84, 10)
    ]
    assert [int(np.prod(shape)) for shape in keyword_cnn().positions.values()] == [
        *(490, 3920, 3920, 1320, 1320, 128, 128, 12)
    ]


@pytest.mark.parametrize(
    ("network", "bounds"),
    [
        (mlp(784, 10), {"w1": 784, "b1": 784, "w4": 64, "b4": 64}),
        (
            LinenNetwork(LeNet5(channels=(2, 3), dense=(5, 4)), (16, 16, 1)),
            {("conv2", "kernel"): 50, ("conv2", "bias"): 50, ("fc4", "kernel"): 5, ("logits", "bias"): 4},
        ),
    ],
)
def test_parameters_start_uniform_within_the_root_of_the_fan_in(network, bounds):
    parameters = jax.jit(network.init)(jax.random.key(1)).parameters
    for path, fan_in in bounds.items():
        leaf = parameters[path] if isinstance(path, str) else parameters[path[0]][path[1]]
        assert np.abs(leaf).max() <= fan_in**-0.5
        if leaf.size >= 100:
            assert np.abs(leaf).max() > 0.9 * fan_in**-0.5
            assert np.std(leaf) == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (KeywordConvolutions((2, 3), 4, NORM, 5), (30, 8)),
        (VggModule(((2,), (3, 3)), 4, NORM), (8, 8, 2)),
        (VggModule(((2,), (3, 3)), 4, None, ends_bare=True), (7, 6, 2)),
    ],
)
def test_small_ones_compute_and_train(module, shape):
    network = LinenNetwork(module, shape)
    inputs = jax.random.normal(jax.random.key(0), (3, *shape))

    @jax.jit
    def trained():
        parameters, statistics = network.init(jax.random.key(1))
        outputs = network.forward(parameters, statistics, inputs, training=True)
        return statistics, outputs, network.forward(parameters, outputs.statistics, inputs).logits

    before, outputs, logits = trained()
    assert logits.shape == (3, 4)
    assert np.isfinite(logits).all()
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, outputs.statistics)
    assert all(jax.tree.leaves(moved))


def test_an_mlp_that_nothing_normalizes_is_what_it_was():
    plain, normalized = (mlp(4, 2, norm).init(jax.random.key(2)) for norm in (None, NORM))
    assert sorted(plain.parameters) == ["b1", "b2", "b3", "b4", "w1", "w2", "w3", "w4"]
    np.testing.assert_array_equal(plain.parameters["w2"], normalized.parameters["w2"])
    assert plain.statistics == {}
    assert sorted(normalized.statistics) == ["bn1", "bn2", "bn3"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: lenet5((12, 28, 1)), "at least 16x16 pixels"),
        (lambda: keyword_cnn("XL"), "no CNN-XL, only S, M and L"),
        (lambda: keyword_cnn(sample=(20, 10)), "at least 28 time steps"),
        (lambda: vgg(12), "no VGG12"),
        (lambda: vgg(image=(8, 8, 3)), "at least 16x16"),
    ],
)
def test_what_does_not_fit_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
