"""What was found about walking noise, from the records that ship: against published numbers and the page."""

import re
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.stats import spearmanr

import datajuicer as dj
from experiments.walking_noise.mixed_noise_map import AMPLITUDES
from experiments.walking_noise.repetition import BUDGETS
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.figures.walking_noise.mixed import cells_of
from jaxrobust.figures.walking_noise.points import EVERYWHERE, midpoints_of, name_of
from jaxrobust.figures.walking_noise.profiles import PUBLISHED
from jaxrobust.figures.walking_noise.trained_with_noise import TRAINED, lines_of, trained_midpoint
from jaxrobust.perturbations.noise import Order

ROOT = Path(__file__).parents[2]
LOAD = {"cache_dir": ROOT / "sessions", "run_mode": "load"}
PAGE = (ROOT / "docs" / "walking_noise.md").read_text()
PLAIN, NORMALIZED = "MLP", "MLP, batch normalization"


@cache
def evaluated(name):
    experiment = load_experiments([name], ROOT / "experiments")[name]
    trained = dj.run(experiment.train_grid(), "train", store_key="*", **LOAD)("{*}")
    return experiment.evaluate(trained, **LOAD)


def profile_of(title, kind="additive", name="walking_profiles"):
    points = [point for point in evaluated(name) if name_of(point["network"]) == title]
    return midpoints_of(points, kind, 0.1)


def table_of(first):
    """Rows of the page's table whose first heading is given, by their first cells."""
    rows = PAGE.partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells
    return {name: rest for name, *rest in cells}


def test_noise_everywhere_has_the_published_midpoints():
    assert 0.42 <= profile_of(PLAIN)[EVERYWHERE].value <= 0.52
    assert 0.30 <= profile_of(NORMALIZED)[EVERYWHERE].value <= 0.39


def test_every_position_has_its_published_midpoint():
    published, _ = PUBLISHED[PLAIN, "mnist"]
    found = [m.value for place, m in profile_of(PLAIN).items() if place != EVERYWHERE]
    ratios = np.array(found) / published
    assert (np.abs(ratios - 1) < 0.2).all()
    assert 0.9 < np.median(ratios) < 1.1
    assert spearmanr(found, published).statistic >= 0.97


def test_the_table_of_the_page_is_that_of_the_records():
    plain, normalized = profile_of(PLAIN), profile_of(NORMALIZED)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    table = {row[0]: row for row in rows if len(row) == 4}
    for place, midpoint in normalized.items():
        _, first, _, second = table["everywhere" if place == EVERYWHERE else place]
        assert numbers(second)[:3] == numbers(str(midpoint))
        assert numbers(first) == (numbers(str(plain[place])) if place in plain else [])


def test_midpoints_on_cifar10_are_the_published_ones():
    plain, normalized = (profile_of(title, name="walking_profiles_cifar10") for title in (PLAIN, NORMALIZED))
    assert plain[EVERYWHERE].value == pytest.approx(1.634, rel=0.06)
    assert normalized[EVERYWHERE].value == pytest.approx(0.333, rel=0.03)
    table = table_of("position (CIFAR-10)")
    for place, midpoint in normalized.items():
        ours, published = table.pop("everywhere" if place == EVERYWHERE else place)
        assert numbers(ours) == numbers(str(midpoint))
        assert midpoint.value == pytest.approx(
            float(published), rel=0.10 if place in ("fc1", "fc3") else 0.07
        )
    assert table == {}
    assert f"{plain[EVERYWHERE]}, published 1.634" in PAGE


def test_midpoints_of_lenet_are_as_the_page_says():
    table = table_of("position (LeNet-5)")
    title = "LeNet-5"
    for column, name, agreement in ((0, title, 1.0), (2, f"{title}, batch normalization", 0.99)):
        found = profile_of(name, name="walking_profiles_lenet")
        shown = {place: its[column : column + 2] for place, its in table.items() if its[column]}
        assert set(shown) == {"everywhere" if place == EVERYWHERE else place for place in found}
        for place, midpoint in found.items():
            ours, _ = shown["everywhere" if place == EVERYWHERE else place]
            assert numbers(ours) == numbers(str(midpoint))
        published = [float(shown[place][1]) for place in found if place != EVERYWHERE]
        values = [midpoint.value for place, midpoint in found.items() if place != EVERYWHERE]
        assert spearmanr(values, published).statistic == pytest.approx(agreement, abs=0.005)


def numbers(text):
    return [float(number) for number in re.findall(r"[\d.]+", text)]


def test_noise_in_training_moves_midpoints_as_published():
    points = evaluated("noisy_training")
    clean = profile_of(PLAIN)["input"].clean
    lines = {place: its[TRAINED] for place, its in lines_of(points).items()}
    everywhere, at_input = (trained_midpoint(lines[place], clean).value for place in (EVERYWHERE, "input"))
    assert 1.35 <= everywhere <= 1.95
    assert 1.8 <= at_input <= 2.5
    assert at_input >= 3.5 * profile_of(PLAIN)["input"].value
    assert np.mean(lines["logits"][1e3]) >= 0.75


def test_weights_grow_before_the_noise_and_shrink_behind_it():
    trained = [point for point in evaluated("noisy_training") if point["level"] != "sweep"]
    weights = {(p["place"], p["level"]): p["statistics"]["weights"] for p in trained}
    quiet, noisy = weights["none", 0.0], weights["fc1", 25.0]
    assert noisy["w1"] >= 3 * quiet["w1"]
    assert noisy["w2"] < quiet["w2"]
    accuracies = {(p["place"], p["level"]): np.mean(p["accuracies"]) for p in trained}
    assert accuracies["fc1", 25.0] >= 0.8


def test_networks_that_are_normalized_behind_it_survive_any_multiplicative_noise():
    points = {(p["network"].normalize, p["place"], p["level"]): p for p in evaluated("self_binarization")}
    under = {case: np.mean(p["accuracies"], axis=0)[1] for case, p in points.items()}
    without = {case: np.mean(p["accuracies"], axis=0)[0] for case, p in points.items()}
    for place, least in (("relu1", 0.93), ("relu2", 0.95)):
        some, much = under[True, place, 1e4], under[True, place, 1e10]
        assert min(some, much) >= least
        assert abs(some - much) < 0.015
        assert without[True, place, 1e10] < 0.3
    assert under[True, "relu3", 1e10] < 0.25
    assert under[False, "relu1", 1e6] < 0.2
    zeros = {case: p["statistics"]["near_zero"]["relu1"] for case, p in points.items()}
    assert zeros[True, "relu1", 1e10] > zeros[True, "", 0.0] + 0.1


@pytest.mark.parametrize(("normalize", "gain"), [(False, 0.06), (True, 0.025)])
def test_planned_executions_beat_uniform_ones(normalize, gain):
    points = [point for point in evaluated("repetition") if point["network"].normalize is normalize]
    names, n = points[0]["plans"], len(BUDGETS)
    accuracies = np.mean([np.mean(p["accuracies"], axis=0) for p in points], axis=0).reshape(len(names), n)
    of = dict(zip(names, accuracies, strict=True))
    five, two = BUDGETS.index(5), BUDGETS.index(2)
    assert of["inverse_lin"][five] >= of["uniform"][five] + gain
    assert min(of, key=lambda name: of[name][five]) == "inverse_log10"
    if normalize:
        assert of["layer_sort"][two] > of["layer_sort (published ranks)"][two]


def test_a_spread_of_levels_in_training_helps_at_all_levels():
    means = {p["spread"]: np.mean(p["accuracies"]) for p in evaluated("vant")}
    assert means[0.25] >= means[0.0] + 0.01


def test_midpoints_of_methods_stand_on_the_page():
    points = evaluated("walking_profiles_methods")
    methods = list(dict.fromkeys(point["trained_by"] for point in points))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    table = {row[0]: [float(cell) for cell in row[1:]] for row in rows if len(row) == 5 and ", " in row[0]}
    assert len(table) == 7
    for name, cells in table.items():
        kind, place = name.split(", ")
        place = EVERYWHERE if place == "everywhere" else place
        for method, cell in zip(methods, cells, strict=True):
            its = [point for point in points if point["trained_by"] == method]
            assert midpoints_of(its, kind, 0.1)[place].value == pytest.approx(cell, rel=3e-3)


def test_mixed_noise_is_either_noise_alone_at_the_edges_of_its_maps():
    maps = cells_of(evaluated("mixed_noise_map"))
    first, second = (maps["amplitude, ratio", order] for order in get_args(Order))
    for amplitude in AMPLITUDES:
        for ratio in (0.0, 1.0):
            assert np.mean(first[amplitude, ratio]) == pytest.approx(
                np.mean(second[amplitude, ratio]), abs=0.005
            )
    zoom = [np.mean(maps["multiplicative, additive", order][1.0, 1.0]) for order in get_args(Order)]
    assert zoom[0] > zoom[1] + 0.05
