"""What was found about stitching, from the records that ship: against the study's claims and the page."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from jaxrobust.cli.experiments import load_experiments, plan_experiment
from jaxrobust.figures.stitching.profiles import kind_of
from jaxrobust.studies.stages import finished

ROOT = Path(__file__).parents[2]
LOAD = {"cache_dir": ROOT / "sessions", "run_mode": "load"}
PAGE = (ROOT / "docs" / "stitching.md").read_text()
CUTS = [f"relu{n}" for n in range(1, 6)]


@cache
def evaluated(name):
    experiment = load_experiments([name], ROOT / "experiments")[name]
    stages = plan_experiment(experiment, experiment.train_grid(), {}, str(LOAD["cache_dir"]))
    return experiment.evaluate(finished(stages, **LOAD), **LOAD)


def donors(points, measure):
    """Values by donor, one per repeat."""
    found = {}
    for point in points:
        if "cut" not in point:
            found.setdefault(point["donor"], []).append(measure(point))
    return found


def stitches(points, measure):
    """Values by pair and kind, one per repeat and cut: an array of repeats by cuts."""
    found = {}
    for point in points:
        if "cut" in point:
            line = found.setdefault(f"{point['pair']}, {kind_of(point)}", {})
            line.setdefault(point["repeat"], {})[point["cut"].front] = measure(point)
    return {
        name: np.array([[at[cut] for cut in CUTS if cut in at] for at in line.values()])
        for name, line in found.items()
    }


def clean(point):
    return 100 * point["accuracy"]["clean"]


def robust(point):
    return 100 * point["accuracy"]["all"]


def at_mismatch(level):
    return lambda point: 100 * np.mean(point["mismatch"][level])


def table_behind(words):
    """The first table behind some words of the page: rows by their first cell, cells as lists of numbers."""
    lines = PAGE.partition(words)[2].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| |"))
    rows = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = [numbers(cell) for cell in cells]
    assert rows
    return rows


def numbers(text):
    return [float(number) for number in re.findall(r"[\d.]+", text)]


def as_written(values):
    return [[float(f"{value:.1f}") for value in values] for values in np.atleast_2d(values).T]


def test_the_page_shows_the_profiles_of_the_records():
    points = evaluated("stitching_mnist")
    table = table_behind("by themselves N has")
    distances = table.pop("R→N, distance, trained / closed form")
    of = {measure: stitches(points, measure) for measure in (clean, robust)}
    assert {name: as_written([of[clean][name][0], of[robust][name][0]]) for name in of[clean]} == table
    distance = stitches(points, lambda point: point["similarity"]["distance"])
    both = [distance[f"R→N, {kind}"][0] for kind in ("trained", "closed form")]
    assert distances == [[float(f"{value:.2g}") for value in values] for values in np.transpose(both)]
    cleans, robusts = donors(points, clean), donors(points, robust)
    said = PAGE.partition("by themselves ")[2].partition(":")[0]
    assert re.findall(r"([NR]'?) (?:has )?([\d.]+) / ([\d.]+)", said) == [
        (name, f"{cleans[name][0]:.1f}", f"{robusts[name][0]:.1f}") for name in ("N", "N'", "R")
    ]


def test_trained_stitches_have_the_published_pattern():
    points = evaluated("stitching_mnist")
    cleans, robusts, alone = stitches(points, clean), stitches(points, robust), donors(points, robust)
    for pair in ("N→N'", "N→R", "R→N"):
        assert (cleans[f"{pair}, trained"] >= 88).sum() >= 4
    for pair in ("N→R", "R→N"):
        front = alone[pair[0]][0]
        assert abs(robusts[f"{pair}, trained"][0, -1] - front) <= 0.15 * front
    assert robusts["R→N, trained"][0, -1] - robusts["R→N, trained"][0, 0] >= 20
    assert robusts["N→R, trained"][0, -1] < robusts["N→R, trained"][0, 0]
    distance = stitches(points, lambda point: point["similarity"]["distance"])
    ratio = distance["R→N, trained"] / distance["R→N, closed form"]
    assert 3.5 < ratio.min() < ratio.max() < 18.5


def test_the_page_shows_three_seeds_with_their_deviation():
    points = evaluated("stitching_mnist_seeds")
    robusts, alone = stitches(points, robust), donors(points, robust)
    for pair, cells in table_behind("**Three seeds**").items():
        values = np.column_stack([robusts[f"{pair}, trained"], alone[pair[0]]])
        assert len(values) == 3
        assert cells == as_written([values.mean(0), values.std(0, ddof=1)])
    gained = robusts["R→N, trained"].mean(0)
    assert f"R→N gains {gained[-1] - gained[0]:.1f} points with depth in the mean" in PAGE


def test_layers_trained_on_attacked_images_are_as_the_page_says():
    points = evaluated("stitching_mnist_adversarial")
    robusts, cleans, alone = stitches(points, robust), stitches(points, clean), donors(points, robust)
    table = table_behind("**Trained on attacked images**")
    assert table == {name: as_written(values) for name, values in robusts.items()}
    assert len(table) == 6
    for pair in ("N→N'", "N→R", "R→N"):
        on_clean, on_attacked = (f"{pair}, trained{how}" for how in ("", ", 50% attacked"))
        assert (robusts[on_attacked] > robusts[on_clean]).all()
        assert abs(cleans[on_attacked] - cleans[on_clean]).max() <= 1.05
    assert robusts["N→N', trained, 50% attacked"].max() > max(alone["N"][0], alone["N'"][0])


def test_layers_trained_on_the_attacked_images_of_their_donors_are_as_the_page_says():
    points = evaluated("stitching_transfer")
    robusts, cleans, alone = stitches(points, robust), stitches(points, clean), donors(points, robust)
    table = table_behind("**Trained on the attacked images of their donors**")
    assert table == {name.replace("trained on attacks: ", ""): as_written(v) for name, v in robusts.items()}
    own = stitches(evaluated("stitching_mnist_adversarial"), robust)
    for name, line in robusts.items():
        assert (line < own[f"{name[:3]}, trained, 50% attacked"]).all()
    forwards, backwards = (
        np.concatenate([v for k, v in robusts.items() if k[:3] == p]) for p in ("R→N", "N→R")
    )
    assert np.ptp(forwards, axis=0).max() < 3.05
    assert (backwards[:, 0] > 60).all()
    assert (backwards[:, 1:] < 45).all()
    assert (np.abs(forwards[:, -1] - alone["R"][0]) < 1.45).all()
    fronts = cleans["N→R, trained on attacks: front"][0]
    assert f"{fronts[3]:.1f} and {fronts[4]:.1f} %" in PAGE


def test_the_page_shows_stitches_under_mismatch():
    points = evaluated("stitching_parameters")
    found, alone = stitches(points, at_mismatch(0.3)), donors(points, at_mismatch(0.3))
    table = table_behind("**Deviating parameters**")
    said = [cells.pop() for cells in table.values()]
    assert table == {name: as_written(values) for name, values in found.items() if name in table}
    assert len(table) == 5
    assert [*said[0], *said[1]] == [float(f"{alone[name][0]:.1f}") for name in ("N", "N'", "P")]


def test_controls_are_as_the_page_says():
    points = evaluated("stitching_controls")
    cleans = stitches(points, clean)
    untrained = ", ".join(f"{value:.1f}" for value in cleans["0→N, trained"][0])
    assert f"{untrained} %" in " ".join(PAGE.split())
    shuffled = cleans["N→N', trained, shuffled labels"]
    assert 13.5 < shuffled.min() < shuffled.max() < 25.5
    distance = stitches(points, lambda point: point["similarity"]["distance"])
    assert distance["N→N, closed form"].max() < 1e-28
    assert abs(cleans["N→N, trained"] - donors(points, clean)["N"][0]).max() <= 0.5


def test_stitches_of_low_rank_are_as_the_page_says():
    ranks = {
        (point["pair"], point["cut"].front, point["rank"]): point
        for point in evaluated("stitching_low_rank")
        if "rank" in point
    }
    first = [clean(p) for (_, cut, rank), p in ranks.items() if (cut, rank) == ("relu2", 2)]
    last = [clean(p) for (_, cut, rank), p in ranks.items() if (cut, rank) == ("relu5", 4)]
    assert 94.5 < min(first) < max(first) < 96.5
    assert 93.5 < min(last) < max(last) < 96.5
    for rank, accuracy in ((4, 76.0), (8, 82.0), (0, 82.8)):
        assert robust(ranks["R→N", "relu5", rank]) == pytest.approx(accuracy, abs=0.05)


def test_stitches_of_two_tasks_reach_the_task_of_their_front_at_the_last_cut():
    points = evaluated("stitching_tasks")
    cleans, robusts, alone = stitches(points, clean), stitches(points, robust), donors(points, clean)
    assert cleans["M→F, trained"][0, -1] == pytest.approx(96.8, abs=0.05)
    assert cleans["F→M, trained"][0, -1] == pytest.approx(84.4, abs=0.05)
    assert [alone["M"][0], alone["F"][0]] == pytest.approx([96.0, 83.4], abs=0.05)
    assert max(values[0, -1] for name, values in robusts.items() if name.startswith("RM")) == pytest.approx(
        83.0, abs=0.05
    )
