"""Validation accuracy over steps for each strategy, and where early stopping would end each training."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_history
from jaxrobust.figures.line_tables import LineTable
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.sparse_tickets.lines import (
    STYLES,
    TRAININGS,
    describe,
    draw_over_density,
    with_dense,
)
from jaxrobust.figures.style import accuracy_axis, shades
from jaxrobust.figures.tables import Numbers
from jaxrobust.studies.sparse_tickets.protocol import REPORTED

Histories = Sequence[Mapping[str, Any]]


def draw_training(points: Points, folder: Path, name: str) -> list[Path]:
    """One figure per training: a column per strategy, clean accuracy and each attack's below each other."""
    paths: list[Path] = []
    styles = shades([f"{share} %" for share in REPORTED.values()])
    for training, title in TRAININGS.items():
        reported = [p for p in points if p["training"] == training and p.get("round", 0) in REPORTED]
        dense = [p for p in reported if p["strategy_name"] == "dense"]
        strategies = dict.fromkeys(p["strategy_name"] for p in reported if p["strategy_name"] != "dense")
        panels = {
            strategy: [*dense, *(p for p in reported if p["strategy_name"] == strategy)]
            for strategy in strategies or ("dense",)
        }
        if not dense:
            continue
        columns = [one for one in ("clean", "FGSM", "PGD") if one in dense[0]["history"]]

        def draw(axes: Axes, shown: Histories, column: str) -> None:
            lines = {}
            for round_, share in REPORTED.items():
                histories = [p["history"][column] for p in shown if p.get("round", 0) == round_]
                if histories:
                    mean = np.mean(np.asarray(histories, float), axis=0)
                    lines[f"{share} %"] = (mean, styles[f"{share} %"].colour)
            draw_history(axes, shown[0]["history"]["step"], lines)
            axes.set_xlabel("Step")
            accuracy_axis(axes)

        rows = [
            Row(partial(draw, column=column), "Clean" if column == "clean" else f"Under {column}")
            for column in columns
        ]
        figure = Composition(
            panels, rows, width=2.8, height=0.9 + 2.3 * len(rows), legend=Legend("Kept weights", 6)
        )
        caption = f"Validation accuracy over steps, {title}, one column per start of the kept weights; means."
        paths += figure.write(
            folder, f"{name}_{training}", f"{caption} {describe(reported, is_validation=True)}"
        )
    return paths


class EarlyStop(NamedTuple):
    """Where a training would have ended.

    Attributes:
        step: The measured step with the smallest validation loss, the first of several.
        clean: Validation accuracy there, and ``attacked`` under the attack.
        attacked: See ``clean``.
    """

    step: int
    clean: float
    attacked: float


def early_stop(history: Mapping[str, Sequence[Any]], attack: str, *, adversarial: bool) -> EarlyStop:
    """Find the smallest validation loss of the training's own objective.

    Args:
        history: Probes of ``dense_points``: columns ``clean``, ``clean loss``, and those of the attack.
        attack: Its name.
        adversarial: Whether the objective is the mean of the losses on clean and on attacked samples.

    Example:
        >>> history = {"step": [0, 500], "clean": [0.1, 0.9], "FGSM": [0.1, 0.2]}
        >>> early_stop({**history, "clean loss": [2.3, 0.4], "FGSM loss": [2, 3]}, "FGSM", adversarial=False)
        EarlyStop(step=500, clean=0.9, attacked=0.2)
    """
    loss = np.asarray(history["clean loss"], float)
    if adversarial:
        loss = (loss + np.asarray(history[f"{attack} loss"], float)) / 2
    place = int(np.nanargmin(loss))
    return EarlyStop(history["step"][place], history["clean"][place], history[attack][place])


def draw_early_stopping(points: Points, folder: Path, name: str) -> list[Path]:
    """Step of the smallest validation loss and accuracies there, over density; a column per training."""
    stopped: list[dict[str, Any]] = []
    for p in points:
        attack = "PGD" if p["training"] == "pgd" else "FGSM"
        if p["training"] in TRAININGS and attack in p["history"]:
            stop = early_stop(p["history"], attack, adversarial=p["training"] != "natural")
            stopped.append({**p, "stop": stop, "attack": attack})
    shown = {
        title: [p for p in stopped if p["training"] == training] for training, title in TRAININGS.items()
    }
    panels = {title: chosen for title, chosen in shown.items() if chosen}
    quantities = [
        ("step", "Step", _from_zero),
        ("attacked", "Attacked", accuracy_axis),
        ("clean", "Clean", accuracy_axis),
    ]

    def lines_of(chosen: Histories, quantity: str) -> Series:
        return with_dense(chosen, lambda p: getattr(p["stop"], quantity))

    def draw(axes: Axes, chosen: Histories, quantity: str, finish: Callable[[Axes], None]) -> None:
        draw_over_density(STYLES, finish)(axes, lines_of(chosen, quantity))

    rows = [Row(partial(draw, quantity=q, finish=finish), label) for q, label, finish in quantities]
    figure = Composition(panels, rows, width=3.6, height=7.2, legend=Legend("Start of the kept weights", 4))
    note = describe(stopped, is_validation=True)
    tables = [
        LineTable(
            f"{title}, {label.lower()}",
            "density",
            quantity,
            lines_of(chosen, quantity),
            percent=False,
            note=note,
        ).table()
        for title, chosen in panels.items()
        for quantity, label, _ in quantities
    ]
    records = [
        {
            "training": p["training"],
            "strategy": p["strategy_name"],
            "density": p["density"],
            "seed": p["seed"],
            "attack": p["attack"],
            **p["stop"]._asdict(),
            "last_clean": p["history"]["clean"][-1],
            "last_attacked": p["history"][p["attack"]][-1],
        }
        for p in stopped
    ]
    explanation = "The step with the smallest validation loss, and validation accuracies there: mean [range]."
    caption = (
        f"Where early stopping ends trainings: the measured step with the smallest validation loss of the "
        f"training's objective, and accuracies there, under the training's attack (FGSM for natural "
        f"training) and clean. Lines: mean, bands: smallest to largest. {note}"
    )
    return figure.write(folder, name, caption, Numbers(tables, records, explanation))


def _from_zero(axes: Axes) -> None:
    axes.set_ylim(bottom=0)
