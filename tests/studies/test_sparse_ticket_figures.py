"""Figures and tables of the sparse tickets, on made-up results: panels, lines, cells and captions."""

import csv
import doctest
from dataclasses import dataclass

import numpy as np
import pytest

from jaxrobust.figures import composer
from jaxrobust.figures.sparse_tickets import training
from jaxrobust.figures.sparse_tickets.accuracy import mean_and_deviation
from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.figures.sparse_tickets.training import early_stop
from jaxrobust.studies.sparse_tickets.protocol import REPORTED, STRATEGIES


@dataclass(frozen=True)
class Made:
    """One made-up network; its numbers follow from what it is."""

    training: str
    strategy: str
    round_: int
    seed: int

    @property
    def accuracy(self) -> float:
        """Attacked accuracy, other for every network."""
        kinds = ["dense", *STRATEGIES]
        return 0.9 - 0.02 * self.round_ - 0.01 * kinds.index(self.strategy) + 0.004 * self.seed

    def point(self):
        n_kept = round(784 * 300 * 0.8**self.round_)
        losses = [2.4, 0.6, 0.4 + 0.1 * self.seed, 0.5]
        return {
            "training": self.training,
            "strategy_name": self.strategy,
            "seed": self.seed,
            "round": self.round_,
            "density": n_kept / (784 * 300),
            "kept_weights": {"w1": (n_kept, 784 * 300)},
            "dataset": "mnist",
            "data_source": "MNIST",
            "data_is_synthetic": False,
            "n_test_samples": 10_000,
            "n_steps": 1500,
            "trained": repr(self),
            "history": {
                "step": [0, 500, 1000, 1500],
                "clean": [0.1, 0.9, 0.95, 0.96],
                "clean loss": losses,
                "FGSM": [0.0, 0.5, self.accuracy, 0.7],
                "FGSM loss": [3.0, 1.5, 1.4, 1.0],
            },
        }


def made_up():
    networks = [
        Made(name, strategy, round_, seed)
        for name in ("natural", "fgsm")
        for round_ in REPORTED
        for strategy in (STRATEGIES if round_ else ("dense",))
        for seed in (0, 1)
    ]
    points = []
    for network in networks:
        point = network.point()
        attacked = {"accuracy": network.accuracy, "clean_accuracy": 0.95, "without_gradient": 0.0}
        worst = {"accuracy": 0.4 * network.accuracy}
        points += [
            point,
            {**point, "measured": "published", "attack_name": "FGSM", "attacked": attacked},
            {**point, "measured": "mismatch", "level": 0.3, "accuracies": [network.accuracy, 0.5]},
            {
                **point,
                "measured": "worst case",
                "size": 0.1,
                "worst_case": worst,
            },
        ]
        if network.strategy in ("dense", "original"):
            points += [
                {**point, "measured": "matrix", "attack_name": "PGD-10", "attacked": attacked},
                {**point, "measured": "sizes", "attack_name": "FGSM", "size": 0.3, "attacked": attacked},
            ]
        if (network.training, network.round_, network.seed) == ("fgsm", 8, 0):
            histogram = {"edges": [-0.1, 0.0, 0.1], "density": [4.0, 6.0]}
            start = {"w1": histogram, "w2": histogram, "w3": histogram}
            points.append(
                {**point, "measured": "weights", "start_weights": start, "input_map": list(range(784))}
            )
    one, other = (Made("fgsm", "original", 8, seed).point() for seed in (0, 1))
    pair = {"one": one, "other": other, "pair": "seeds", "density": one["density"], "overlap": {"all": 0.2}}
    return [*points, {**pair, "trainings": "fgsm", "measured": "overlap"}]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """All of them drawn; captions and tables are written, pictures (80 % of the time) are empty files."""

    def save(figure, folder, name, caption):
        assert figure.axes
        paths = [folder / f"{name}.png", folder / f"{name}.txt"]
        paths[0].touch()
        paths[1].write_text(caption)
        return paths

    folder = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composer, "save_figure", save)
        paths = draw_all(made_up(), folder, "toy")
    assert all(path.exists() for path in paths)
    return folder


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_and_table_of_the_study_is_drawn(drawn):
    pictures = {path.stem.removeprefix("toy_") for path in drawn.glob("*.png")}
    assert pictures == {
        *("accuracy", "training_natural", "training_fgsm", "early_stopping", "sizes", "hardware"),
        *("overlap", "start_weights", "pixels"),
    }
    for name in ("tables", "attacks", "accuracy", "early_stopping", "hardware"):
        assert {path.suffix for path in drawn.glob(f"toy_{name}.*")} >= {".md", ".tex", ".csv"}


def test_accuracy_has_a_line_per_strategy_that_begins_dense(drawn):
    rows = rows_of(drawn / "toy_accuracy.csv")
    panels = {row["panel"] for row in rows}
    assert panels == {f"{t}, {a}" for t in ("natural training", "FGSM training") for a in ("clean", "FGSM")}
    attacked = [row for row in rows if row["panel"] == "FGSM training, FGSM"]
    assert {row["line"] for row in attacked} == set(STRATEGIES)
    for name in STRATEGIES:
        line = sorted((row for row in attacked if row["line"] == name), key=lambda row: -float(row["x"]))
        assert len(line) == len(REPORTED)
        expected = [
            np.mean([Made("fgsm", name if r else "dense", r, s).accuracy for s in (0, 1)]) for r in REPORTED
        ]
        assert [float(row["mean"]) for row in line] == pytest.approx(expected)
        assert {row["n"] for row in line} == {"2"}


def test_hardware_shows_every_ticket_under_mismatch_and_in_the_worst_case(drawn):
    rows = rows_of(drawn / "toy_hardware.csv")
    assert {row["panel"] for row in rows} == {
        f"{t}, {w}" for t in ("natural training", "FGSM training") for w in ("mismatch 0.3", "worst case 0.1")
    }
    assert len(rows) == 4 * len(STRATEGIES) * len(REPORTED)
    (last,) = [
        row
        for row in rows
        if row["panel"] == "FGSM training, worst case 0.1"
        and row["line"] == "random"
        and float(row["x"]) == pytest.approx(0.8**18, abs=1e-4)
    ]
    assert float(last["smallest"]) == pytest.approx(0.4 * Made("fgsm", "random", 18, 0).accuracy)
    assert "relative Gaussian mismatch" in (drawn / "toy_hardware.txt").read_text()


def test_early_stopping_is_the_smallest_validation_loss_of_the_objective(drawn):
    history = Made("fgsm", "original", 8, 0).point()["history"]
    assert early_stop(history, "FGSM", adversarial=False).step == 1000
    assert early_stop(history, "FGSM", adversarial=True) == (1500, 0.96, 0.7)
    unmeasured = {**history, "clean loss": [2.4, None, None, 0.5]}
    assert early_stop(unmeasured, "FGSM", adversarial=False).step == 1500
    rows = rows_of(drawn / "toy_early_stopping.csv")
    assert len(rows) == 2 * 2 * (1 + 5 * len(STRATEGIES))
    natural = [row for row in rows if row["training"] == "natural" and row["seed"] == "0"]
    assert {(row["step"], row["clean"], row["last_clean"]) for row in natural} == {("1000", "0.95", "0.96")}
    assert doctest.testmod(training).failed == 0


def test_tables_have_the_published_cells_beside_ours(drawn):
    text = (drawn / "toy_tables.md").read_text()
    assert "| 100.0 | published | 98.33 ± 0.33 | 98.25 ± 0.11 | 8.79 ± 0.40 | 94.30 ± 0.84 |" in text
    values = [Made("fgsm", "random", 18, seed).accuracy for seed in (0, 1)]
    natural = mean_and_deviation([Made("natural", "random", 18, seed).accuracy for seed in (0, 1)])
    cells = (
        f"| 1.8 | random | 95.00 ± 0.00 (2) | 95.00 ± 0.00 (2) | {natural} | {mean_and_deviation(values)} |"
    )
    assert cells in text
    assert mean_and_deviation([0.5, 0.7]) == "60.00 ± 14.14 (2)"
    assert mean_and_deviation([]) == "–"
    assert r"98.33 $\pm$ 0.33 & 98.25 $\pm$ 0.11" in (drawn / "toy_tables.tex").read_text()
    assert len(rows_of(drawn / "toy_tables.csv")) == 2 * 2 * 2 * (1 + 5 * len(STRATEGIES))
