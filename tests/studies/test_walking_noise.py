"""The study of walking noise: grids without data, sweeps, figures; and one real row on MNIST."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from experiments.walking_noise.mixed_noise_map import mixed_noise_map
from experiments.walking_noise.mixed_noise_training import mixed_noise_training
from experiments.walking_noise.noisy_training import noisy_training
from experiments.walking_noise.repetition import BUDGETS, repetition
from experiments.walking_noise.self_binarization import self_binarization
from experiments.walking_noise.vant import vant
from experiments.walking_noise.walking_profiles import walking_profiles
from experiments.walking_noise.walking_profiles_cifar10 import walking_profiles_cifar10
from experiments.walking_noise.walking_profiles_fashion import walking_profiles_fashion
from experiments.walking_noise.walking_profiles_lenet import walking_profiles_lenet
from experiments.walking_noise.walking_profiles_lenet_cifar10 import walking_profiles_lenet_cifar10
from experiments.walking_noise.walking_profiles_methods import walking_profiles_methods
from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.figures.walking_noise.profiles import PUBLISHED
from jaxrobust.measures.walking_profile import noise_accuracies, walking_profile
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Variables
from jaxrobust.networks.standardized import Standardized
from jaxrobust.networks.taps import Taps
from jaxrobust.perturbations.noise import AdditiveNoise, CombinedNoise, Order
from jaxrobust.studies.training_points import check_point
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.profiles import sweeps_of
from jaxrobust.studies.walking_noise.protocol import keyword_weights, published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseMap, NoiseSweep, decades
from jaxrobust.training.augmentation import Crop
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Standard
from jaxrobust.training.optimizers import Adam, Projected
from jaxrobust.training.schedule import Cosine
from jaxrobust.training.training import Training


@pytest.mark.parametrize(
    ("experiment", "n"),
    [
        (walking_profiles, 6),
        (walking_profiles_cifar10, 2),
        (walking_profiles_fashion, 2),
        (walking_profiles_lenet, 2),
        (walking_profiles_lenet_cifar10, 10),
        (walking_profiles_methods, 4),
        (mixed_noise_map, 1),
        (mixed_noise_training, 98),
        (noisy_training, 15),
        (repetition, 6),
        (self_binarization, 9),
        (vant, 3),
    ],
)
def test_grids_are_made_without_data(experiment, n):
    grid = experiment().train_grid()
    for point in grid:
        check_point(point)
    assert len(dj.make_unique(grid)) == n


def test_networks_without_noise_in_training_are_shared():
    points = [*walking_profiles().train_grid(), *repetition().train_grid()]
    keys = {repr(sorted((k, repr(v)) for k, v in point.items())) for point in points}
    assert len(keys) == 6


def test_positions_may_leave_normalization_out():
    network = PublishedNetwork("mlp", normalize=True)
    assert len(network.positions("mnist")) == 11
    quiet = network.positions("mnist", normalization=False)
    assert quiet == PublishedNetwork("mlp").positions("mnist")
    assert len(PublishedNetwork("lenet5", normalize=True).positions("cifar10")) == 16


def test_resnet18_has_noise_once_per_value():
    network = PublishedNetwork("resnet18", normalize=True)
    built = network.build((32, 32, 3), 10)
    parameters = jax.eval_shape(built.init, jax.random.key(0)).parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == 11_173_962
    positions = network.positions("cifar10", normalization=False)
    # 17 convolutions and 3 of shortcuts, 17 ReLUs, input, average pooling, logits.
    assert len(positions) == 17 + 3 + 17 + 3
    assert positions[:4] == ("input", "conv1", "relu", "layer1_0/conv1")
    assert positions[-3:] == ("layer4_1/relu", "features", "logits")
    assert len(network.positions("cifar10")) == len(positions) + 17 + 3


def test_the_protocol_is_the_published_one():
    point = published_point(PublishedNetwork("lenet5"), "cifar10", clamp=1.0)
    assert point["schedule"] == Cosine(300, 1e-3, per="epoch")
    assert (point["batch_size"], point["keep"]) == (128, "last")
    assert point["augmentation"] is not None
    assert isinstance(point["optimizer"], Projected)
    weights = {
        "conv1": {"kernel": np.full((5, 5), 3.0), "bias": np.full(5, 3.0)},
        "bn1": {"scale": np.full(5, 3.0)},
    }
    clamped = point["optimizer"].projection.project(weights)
    assert clamped["conv1"]["kernel"].max() == 1
    assert clamped["conv1"]["bias"].max() == clamped["bn1"]["scale"].max() == 3


def test_keywords_are_weighted_by_rarity_and_unknown_words_less():
    weights = keyword_weights("generated_speech")
    dataset = data.load("generated_speech")
    unknown, word = dataset.classes.index("_unknown_"), len(dataset.classes) - 1
    shares = np.array(dataset.train.counts(8)) / len(dataset.train)
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    expected = (1 - shares[unknown]) / 3.6 / (1 - shares[word])
    assert weights[unknown] / weights[word] == pytest.approx(expected, rel=1e-4)
    point = published_point(PublishedNetwork("cnn_s"), "generated_speech", class_weights=weights)
    assert point["criterion"].class_weights == weights
    with pytest.raises(InputError, match="digits has no class _unknown_"):
        keyword_weights("digits")


def test_twelve_keywords_have_the_published_network_and_protocol():
    point = published_point(PublishedNetwork("cnn_s"), "speech_commands_12")
    assert point["schedule"] == Cosine(150, 5e-4, per="epoch")
    assert point["batch_size"] == 512
    network = point["network"].build(data.blank("speech_commands_12").train.inputs.shape[1:], 12)
    parameters = jax.eval_shape(network.init, jax.random.key(0)).parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == 205_414


def test_house_numbers_are_not_mirrored():
    point = published_point(PublishedNetwork("mlp"), "svhn")
    assert point["augmentation"] == Crop()
    assert point["schedule"].n_epochs == 300


def test_sweeps_place_noise_by_level_and_plan():
    sweep = NoiseSweep(("input", "fc1"), (0.1, 0.2), executions=((1, 2), (3, 4), (5, 6)))
    placements = sweep.placements()
    assert len(placements) == 6
    assert placements[1] == {
        "input": AdditiveNoise(0.1, n_executions=3),
        "fc1": AdditiveNoise(0.1, n_executions=4),
    }
    combined = NoiseSweep(("input",), (2.0,), "add_then_multiply", ratio=0.25).placements()[0]["input"]
    assert combined == CombinedNoise(0.5, 1.5, "add_then_multiply")
    assert len(decades(-2, 4)) == 25


def test_edges_of_a_map_are_either_noise_alone():
    network = MLP(8, (32,), 4)
    variables = network.init(jax.random.key(0))
    inputs = jax.random.normal(jax.random.key(1), (2000, 8))
    labels = network.forward(*variables, inputs).logits.argmax(1)
    key, where, levels = jax.random.key(2), ("relu1",), (0.3, 1.0, 3.0)

    def accuracies(sweep):
        return np.asarray(noise_accuracies(network, variables, inputs, labels, key, sweep.placements()))[0]

    factors, added = (accuracies(NoiseSweep(where, levels, kind)) for kind in ("multiplicative", "additive"))
    assert factors[0] - factors[2] > 0.2 < added[0] - added[2]
    for order in get_args(Order):
        table = accuracies(NoiseMap(where, levels, (0.0, 0.5, 1.0), order=order)).reshape(3, 3)
        np.testing.assert_allclose(table[:, 0], factors, atol=0.03)
        np.testing.assert_allclose(table[:, 2], added, atol=0.03)
        # As many placements as above, so that no further program is compiled.
        direct = accuracies(
            NoiseMap(where, (0.0, *levels[:2]), levels, "multiplicative, additive", order)
        ).reshape(3, 3)
        np.testing.assert_allclose(direct[0], added, atol=0.03)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PublishedNetwork("lenet"), "no network 'lenet'"),
        (
            lambda: published_point(
                PublishedNetwork("mlp"), noise={"fc1": AdditiveNoise(1)}, method=Standard()
            ),
            "noise is put around Standard",
        ),
        (lambda: PublishedNetwork("resnet18"), "always has batch normalization"),
        (lambda: PublishedNetwork("cnn_s").build((28, 28, 1), 10), "cnn_s takes sequences"),
        (lambda: NoiseSweep(("input",), (1.0,), "salt"), "kind of noise is one of"),
        (lambda: NoiseMap(("input",), (1.0,), (0.5,), "salt"), "axes of a map are one of"),
        (lambda: NoiseMap(("input",), (1.0,), (0.5,), order="salt"), "order of a map is one of"),
        (
            lambda: NoiseSweep(("input",), (1.0,), executions=((1, 2),)),
            "number of executions for each of input",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def finished(points):
    """Points as they come back, without data."""
    extra = {"data_source": "nothing", "data_is_synthetic": True, "n_test_samples": 5, "n_draws": 2}
    return [{**extra, **point} for point in points]


def falling(levels, middle):
    curve = 0.1 + 0.85 / (1 + (np.asarray(levels) / middle) ** 2)
    return [curve.tolist(), (curve + 0.01).tolist()]


def test_profiles_are_drawn_with_their_numbers(tmp_path):
    points = [
        {
            **point,
            "sweep_name": name,
            "sweep": sweep,
            "accuracies": falling(sweep.levels, 0.3 + point["seed"]),
        }
        for point in finished(walking_profiles().train_grid())
        for name, sweep in sweeps_of(point["network"], "mnist").items()
    ]
    files = walking_profiles().visualize(points, tmp_path)
    assert files[0].exists()
    table = (tmp_path / "walking_profiles.md").read_text()
    assert "| input | 0." in table
    assert "| everywhere | " in table
    assert "| 0.471 |" in table


def test_published_midpoints_are_one_per_position():
    """Every published profile has a number for each position of its network."""
    kinds = {"MLP": "mlp", "LeNet-5": "lenet5"}
    compared = 0
    for (title, dataset), (midpoints, everywhere) in PUBLISHED.items():
        kind, _, normalized = title.partition(", ")
        network = PublishedNetwork(kinds[kind], bool(normalized))
        assert everywhere < min(midpoints, default=100)
        if midpoints:
            assert len(midpoints) == len(network.positions(dataset))
            compared += 1
    assert compared == 6


def test_profiles_of_methods_are_one_line_each(tmp_path):
    points = [
        {**point, "sweep_name": name, "sweep": sweep, "accuracies": falling(sweep.levels, 0.3 + i)}
        for i, point in enumerate(finished(walking_profiles_methods().train_grid()))
        for name, sweep in sweeps_of(point["network"], "mnist").items()
    ]
    assert walking_profiles_methods().visualize(points, tmp_path)[0].exists()
    table = (tmp_path / "walking_profiles_methods.md").read_text()
    assert "| position | Standard | Forward noise | Beta | Forward noise + beta |" in table
    everywhere = next(line for line in table.splitlines() if line.startswith("| everywhere"))
    found = [float(cell.split()[0]) for cell in everywhere.split("|")[2:6]]
    assert found == pytest.approx([0.3, 1.3, 2.3, 3.3], rel=0.05)


def test_maps_put_cells_of_equal_axes_together(tmp_path):
    cells = [
        {**point, "n_draws": 3, "accuracies": [[0.5], [0.7]]}
        for point in finished(mixed_noise_training().train_grid())
        if point["sweep"].order == "multiply_then_add"
    ][:-1]
    assert mixed_noise_training().visualize(cells, tmp_path)[0].exists()
    rows = (tmp_path / "mixed_noise_training.md").read_text().splitlines()
    assert [row.count("60.0") for row in rows if "60.0" in row] == [7] * 6 + [6]
    assert sum(row.count("| – |") for row in rows) == 1


@pytest.mark.slow
def test_other_figures_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    statistics = {
        "weights": {"w1": 0.1, "w2": 0.2},
        "near_zero": dict.fromkeys(("relu1", "relu2", "relu3"), 0.5),
    }

    def with_accuracies(point, sweep, n):
        accuracies = rng.uniform(0.3, 0.9, (2, n)).tolist()
        return {**point, "sweep": sweep, "accuracies": accuracies, "statistics": statistics}

    where = ("input",)
    trained = [
        with_accuracies(p, NoiseSweep(p["where"], (p["level"],)), 1)
        for p in finished(noisy_training().train_grid())
    ]
    plain = [
        with_accuracies(
            {**trained[0], "place": place, "level": "sweep"}, NoiseSweep(where, levels), len(levels)
        )
        for place, levels in {(p["place"]): (0.5, 1.0) for p in trained[1:]}.items()
    ]
    for point in plain:
        levels = tuple(p["level"] for p in trained if p["place"] == point["place"])
        point |= {
            "sweep": NoiseSweep(where, levels),
            "accuracies": rng.uniform(0, 1, (2, len(levels))).tolist(),
        }
    assert noisy_training().visualize(trained + plain, tmp_path)[0].exists()

    zeros = [
        with_accuracies(p, NoiseSweep(where, (0.0, 1.0)), 2)
        for p in finished(self_binarization().train_grid())
    ]
    assert self_binarization().visualize(zeros, tmp_path)[0].exists()

    names = ["uniform", "inverse_lin"]
    plans = [
        {**with_accuracies(p, NoiseSweep(where, (0.471,)), 2 * len(BUDGETS)), "plans": names}
        for p in finished(repetition().train_grid())
    ]
    assert repetition().visualize(plans, tmp_path)[0].exists()

    curves = [with_accuracies(p, NoiseSweep(where, (0.5, 1.0)), 2) for p in finished(vant().train_grid())]
    assert vant().visualize(curves, tmp_path)[0].exists()


@pytest.mark.data
@pytest.mark.usefixtures("mnist")
def test_one_row_on_mnist(tmp_path):
    """Two epochs, 2,000 test images: the published order of the layers' midpoints is there already."""
    mnist = data.load("mnist")
    network = PublishedNetwork("mlp").build((28, 28, 1), 10)
    training = Training(
        network, Standard(), Cosine(2, 1e-3, per="epoch"), Adam(), 128, 0, 5000, tmp_path, keep="last"
    )
    trained = train([training], mnist.train, mnist.validation)[0]
    variables = Variables(*jax.tree.map(jax.numpy.asarray, (trained.parameters, trained.statistics)))
    inputs, labels = mnist.test.inputs[::5], mnist.test.labels[::5]
    where = ("input", "fc1", "logits")
    profile = walking_profile(
        network, variables, inputs, labels, positions=where, levels=decades(-1, 2), n_draws=2
    )
    assert profile.clean > 0.92
    middle = [profile.midpoints[name].value for name in where]
    assert middle == sorted(middle)
    assert 0.4 < middle[0] < 0.9
    assert profile.midpoints["input"].low < middle[0] < profile.midpoints["input"].high


def test_published_images_are_standardized_inside_of_the_network():
    def at_input(dataset, x):
        network = published_point(PublishedNetwork("mlp"), dataset)["network"].build(x.shape[1:], 10)
        variables = network.init(jax.random.key(0))
        return network.forward(*variables, x, tap=Taps(record=("input",))).activations["input"]

    x = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    expected = (x - np.array([0.4914, 0.4822, 0.4465])) / np.array([0.2023, 0.1994, 0.2010])
    np.testing.assert_allclose(at_input("cifar10", x).reshape(x.shape), expected, rtol=1e-5, atol=1e-5)
    gray = x[:, :28, :28, :1]
    np.testing.assert_allclose(at_input("fashion_mnist", gray).reshape(gray.shape), 2 * gray - 1, atol=1e-6)
    np.testing.assert_array_equal(at_input("mnist", gray).reshape(gray.shape), gray)  # published: as they are


def test_a_standardization_that_fits_no_channels_is_refused():
    network = Standardized(MLP(12, (3,), 2), (0.5, 0.5), (0.2, 0.2))
    with pytest.raises(InputError, match="one per channel"):
        network.forward(*network.init(jax.random.key(0)), jnp.ones((1, 2, 2, 3)))
    with pytest.raises(InputError, match="above 0"):
        Standardized(MLP(12, (3,), 2), (0.5,), (0.0,))
