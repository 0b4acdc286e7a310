"""Tables of docs/results/ that were made on a GPU or are written by hand, against the shipped records."""

import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

import datajuicer as dj
from jaxrobust.cli.experiments import load_experiments

ROOT = Path(__file__).parents[1]
METHODS = ("Standard", "Forward noise", "Beta", "Forward noise + beta", "Dropout", "AWP")
LOAD = {"cache_dir": ROOT / "sessions", "run_mode": "load"}


def results_of(name):
    experiment = load_experiments([name], ROOT / "experiments")[name]
    images = [point for point in experiment.train_grid() if point["architecture"] == "cnn"]
    return experiment.evaluate(dj.run(images, "train", store_key="*", **LOAD)("{*}"), **LOAD)


def rows_below(heading, page):
    text = (ROOT / "docs" / "results" / page).read_text()
    section = text.split(heading, 1)[1].split("\n##", 1)[0]
    return [re.split(r" *\| *", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]


def of_cell(cell):
    """The mean in a cell such as ``**92.15** (0.04) [92.11]``."""
    return cell.partition(" ")[0].strip("*")


def test_mismatch_at_the_full_schedule():
    points = [point for point in results_of("mismatch_experiment") if "accuracies" in point]
    table = {row[0]: row[1:] for row in rows_below("#### c  Images", "mismatch.md") if row[0] != "ζ"}
    assert set(table) == {"0", "0.1", "0.2", "0.3", "0.5", "0.7"}
    for level, cells in table.items():
        for method, cell in zip(METHODS, cells, strict=True):
            found = [p["accuracies"] for p in points if p["method"] == method and p["level"] == float(level)]
            assert len(found) == 2
            assert of_cell(cell) == f"{100 * mean(mean(map(float, one)) for one in found):.2f}"


def test_worst_case_at_the_full_schedule():
    points = [p for p in results_of("worst_case_experiment") if p["attack_loss"] == "madry"]
    rows = rows_below("#### c  Images, CNN: accuracy in %", "attacked_parameters.md")
    table = {row[0]: row[1:] for row in rows if row[0] != "ζ"}
    assert "0.1" in table
    for size, cells in table.items():
        for method, cell in zip((*METHODS[:4], "AWP"), cells, strict=True):
            found = [p for p in points if p["method"] == method and p["size"] == float(size)]
            assert of_cell(cell) == f"{100 * mean(float(p['worst_case']['accuracy']) for p in found):.2f}"


TITLES = {
    "speech_lsnn": "a  Speech, spiking LSNN",
    "ecg_lsnn": "b  ECG, spiking LSNN",
    "cnn": "c  Images, CNN",
}


@pytest.mark.parametrize(
    ("architecture", "protocol", "n_networks"),
    [("speech_lsnn", "two_cores", 8), ("ecg_lsnn", "two_cores", 8), ("cnn", "shipped_weights", 2)],
)
def test_two_attacks_and_random_corners(architecture, protocol, n_networks):
    """The suite is below the published attack and below 20 corners; its means stand on the page."""
    experiment = load_experiments(["attack_suite_experiment"], ROOT / "experiments")[
        "attack_suite_experiment"
    ]
    grid = [
        p
        for p in getattr(experiment, protocol).applied(experiment.train_grid())
        if p["architecture"] == architecture
    ]
    points = experiment.evaluate(dj.run(grid, "train", store_key="*", **LOAD)("{*}"), **LOAD)
    found = defaultdict(list)
    for point in points:
        if point["size"]:
            published, suite = point["worst_case"]["accuracy"], point["suite"]["accuracy"]
            corners = min(point["suite"]["corners"])
            assert suite <= min(published, corners)
            found[point["method"], f"{point['size']:g}"].append((published, suite, corners))
    assert sum(map(len, found.values())) == 3 * n_networks
    methods = [name for name in METHODS if (name, "0.1") in found]
    headings = ("published protocol", "suite standard", "lowest of 20 random corners")
    for kind, what in enumerate(headings):
        heading = f"#### {TITLES[architecture]}: {what}, accuracy in %"
        rows = {row[0]: row[1:] for row in rows_below(heading, "attacked_parameters.md")}
        for size in ("0.05", "0.1", "0.2"):
            means = [mean(float(one[kind]) for one in found[name, size]) for name in methods]
            assert [of_cell(cell) for cell in rows[size]] == [f"{100 * value:.2f}" for value in means]


def test_falls_of_short_trainings_at_two_learning_rates():
    """The table that the protocol two_cores was chosen by."""
    name = "learning_rates_experiment"
    experiment = load_experiments([name], ROOT / "experiments")[name]
    grid = experiment.short.applied(experiment.train_grid())
    points = experiment.evaluate(dj.run(grid, "train", store_key="*", **LOAD)("{*}"), **LOAD)

    def accuracy(network, rates, method, level):
        (found,) = (
            100 * mean(map(float, point["accuracies"]))
            for point in points
            if (point["architecture"], point["rates"], point["method"], point["level"])
            == (network, rates, method, level)
        )
        return found

    rows = {row[0]: row[1:] for row in rows_below("| | standard falls", "mismatch.md")}
    for label, network in (("speech", "speech_lsnn"), ("ECG", "ecg_lsnn"), ("images", "cnn")):
        for rates in ("published", "higher"):
            at = {
                (method, level): accuracy(network, rates, method, level)
                for method in ("Standard", "Forward noise + beta")
                for level in (0.0, 0.5)
            }
            falls = [at[method, 0.0] - at[method, 0.5] for method in ("Standard", "Forward noise + beta")]
            lead = at["Forward noise + beta", 0.5] - at["Standard", 0.5]
            assert rows[f"{label}, {rates} rates"] == [f"{value:.1f}" for value in (*falls, lead)]
