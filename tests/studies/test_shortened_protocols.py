"""What a protocol makes of an experiment's grid."""

from collections import Counter

import pytest

from jaxrobust import data
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp, ecg_lsnn, speech_lsnn
from jaxrobust.studies.parameter_noise.protocols import (
    BETA,
    FORWARD_NOISE_BETA,
    METHODS,
    SHORT,
    STANDARD,
    TWO_CORES,
    Protocol,
    published_networks,
    with_methods,
)


def test_seeds_of_a_method_come_before_those_of_all():
    grid = with_methods([ecg_lsnn.make()], [STANDARD, BETA], seeds=(0, 1, 2))
    kept = Protocol(seeds=(0,), seeds_of={"Standard": (1, 2)}).applied(grid)
    assert [(point["method"], point["seed"]) for point in kept] == [
        ("Standard", 1),
        ("Standard", 2),
        ("Beta", 0),
    ]
    assert len(Protocol(seeds_of={"Standard": (1,)}).applied(grid)) == 1 + 3


def test_two_networks_where_the_difference_is_the_claim():
    points = TWO_CORES.applied(with_methods(published_networks(), METHODS))
    for architecture in ("speech_lsnn", "ecg_lsnn", "cnn"):
        counts = Counter(point["method"] for point in points if point["architecture"] == architecture)
        assert counts == {
            "Standard": 2,
            "Forward noise": 2,
            "Forward noise + beta": 2,
            "Beta": 1,
            "Dropout": 1,
            "AWP": 1,
        }
    assert {point["keep"] for point in points} == {"last"}
    rates = {point["architecture"]: point["learning_rate"] for point in points}
    assert rates == {"speech_lsnn": (5e-3, 5e-4), "ecg_lsnn": (5e-3, 5e-4), "cnn": (1e-4, 1e-5)}


def test_the_earlier_short_protocol_keeps_its_networks():
    (point,) = SHORT.applied(with_methods([speech_lsnn.make()], [STANDARD]))
    assert (point["keep"], point["learning_rate"], point["seed"]) == ("best", (5e-3, 5e-4), 0)


def test_a_protocol_without_a_setting_leaves_it_to_the_experiment():
    without = SHORT.without("learning_rate")
    points = with_methods(
        [ecg_lsnn.make() | {"learning_rate": (2e-3, 2e-4)}, ecg_lsnn.make()], [STANDARD], (0,)
    )
    assert [point["learning_rate"] for point in without.applied(points)] == [(2e-3, 2e-4), (1e-3, 1e-4)]
    assert {point["n_epochs"] for point in without.applied(points)} == {(15.0, 5.0)}
    assert "learning_rate" in SHORT.settings["ecg_lsnn"]


def test_learning_rates_are_compared_on_every_published_network():
    experiment = load_experiments(["learning_rates_experiment"])["learning_rates_experiment"]
    points = experiment.short.applied(experiment.train_grid())
    found = {(point["architecture"], point["method"], point["learning_rate"]) for point in points}
    assert len(points) == len(found) == 12
    assert {point["learning_rate"] for point in points if point["rates"] == "published"} == {
        (1e-3, 1e-4),
        (1e-4, 1e-5),
    }
    assert {point["method"] for point in points} == {STANDARD["method"], FORWARD_NOISE_BETA["method"]}


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_training_keeps_what_its_setting_says(keep, tmp_path):
    point = digits_mlp.make() | {"keep": keep}
    digits = data.blank(point["dataset"], split=point["split"] or None)
    network = digits_mlp.network(point, digits)
    assert digits_mlp.training_of(point, network, digits, tmp_path).keep == keep
