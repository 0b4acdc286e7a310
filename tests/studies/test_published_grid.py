"""The published grid has as many points as the published files."""

import pytest

from jaxrobust.studies.walking_noise.published_grid import cost_of, families, training_of


def test_families_are_as_large_as_the_published_files():
    sizes, n_noisy = {}, 0
    for name, family in families():
        points = list(family)
        sizes[name] = len(points)
        n_noisy += sum(bool(point.get("in_training")) for point in points)
    assert len(sizes) == 52
    assert sum(sizes.values()) == 635_120
    assert n_noisy == 289_312
    assert sizes["cifar10 lenet5 bn layer by layer"] == 45_600
    assert sizes["mnist mlp everywhere"] == 8_430
    assert sizes["fashion_mnist lenet5 everywhere"] == 1_680
    assert sizes["keywords cnn_s maximum"] == 2_772
    by_data = {
        data: sum(n for name, n in sizes.items() if name.startswith(data) and "repetition" not in name)
        for data in ("mnist", "cifar10", "keywords", "fashion_mnist", "svhn")
    }
    assert list(by_data.values()) == [180_294, 169_159, 76_053, 48_822, 48_792]


def test_what_is_evaluated_only_needs_no_trainings_of_its_own():
    swept = [
        {"dataset": "mnist", "network": "mlp", "norm": "bn", "epochs": 100, "repeat": 0}
        | {"place": place, "in_training": in_training, "kind": "multiplicative", "level": level}
        for place in (0, 1)
        for in_training in (False, True)
        for level in (0.0, 1.0)
    ]
    assert cost_of(swept) == (8, 1 + 2, 300)
    assert cost_of([*swept, {**swept[0], "clamp": 1.0}]) == (9, 1 + 2 + 1, 400)


@pytest.mark.slow
def test_distinct_points_and_trainings():
    """Published: 624,347 points, and 280,294 trainings of 51,243,000 epochs, of which 1,824 without noise."""
    points, trainings = set(), {}
    for _, family in families():
        for point in family:
            points.add(
                tuple(sorted((name, str(value)) for name, value in point.items() if value is not None))
            )
            trainings[training_of(point)] = point["epochs"]
    assert len(points) == 624_347
    silent = [epochs for training, epochs in trainings.items() if len(training) == 6]
    assert (len(silent), sum(silent)) == (1_824, 238_200)
    assert sum(trainings.values()) == 51_243_000
    assert len(trainings) == 280_294
