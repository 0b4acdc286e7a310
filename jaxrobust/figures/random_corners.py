"""How networks train, and what an attack does to them against random corners of the same box."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import LineStyle, draw_curves
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]

CORNERS, ATTACK = "Random corners", "Attack on the cross-entropy"
STYLES = {CORNERS: LineStyle("#4c84e6", 1.5), ATTACK: LineStyle("#fc033d", 1.5)}


def draw_attack_against_random(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw a column for each network: accuracy over training, and over the size of the box.

    Args:
        points: Trained points with ``size``, ``worst_case`` and ``corners``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    columns: dict[float, list[Mapping[str, Any]]] = {}
    for point in points:
        columns.setdefault(point["beta_robustness"], []).append(point)
    figure, axes = new_figure(2, len(columns), width=3.3 * len(columns), height=5.4)
    tables, records = [], []
    for place, (beta, of_network) in enumerate(columns.items()):
        title = f"{'abcdefgh'[place]}  β = {beta:g}"
        top, bottom = axes[place], axes[place + len(columns)]
        _training(top, of_network[0]["history"])
        top.set_title(title, loc="left")
        lines = {
            CORNERS: {point["size"]: point["corners"] for point in of_network},
            ATTACK: {point["size"]: [point["worst_case"]["accuracy"]] for point in of_network},
        }
        draw_curves(bottom, lines, STYLES, categorical=True)
        bottom.set_ylim(0, 1.02)
        bottom.yaxis.set_major_formatter(PercentFormatter(1))
        bottom.set_xlabel("Size of the box ζ")
        tables.append(line_table(title, "ζ", lines, percent=True, note=describe(of_network)))
        records += line_records(title, "accuracy", lines)
    axes[0].set_ylabel("Accuracy in training")
    axes[len(columns)].set_ylabel("Test accuracy")
    axes[0].legend(fontsize=7, frameon=False, loc="lower right")
    axes[len(columns)].legend(fontsize=7, frameon=False, loc="best")
    n_corners = len(points[0]["corners"])
    caption = (
        "Top: accuracy over training; attacked accuracy is not recorded then. Bottom: mean and range "
        f"of {n_corners} random corners of the box around the parameters, and the end of one attack with ten "
        f"steps.\n{describe(points)}"
    )
    explanation = "Test accuracy in %: mean [smallest, largest]."
    return save_figure(figure, folder, name, caption) + write_tables(
        folder, name, tables, explanation=explanation, records=records
    )


def _training(axes: Axes, history: Mapping[str, Any]) -> None:
    for key, label, colour in (
        ("training_accuracy", "Training batches", "0.6"),
        ("validation_accuracy", "Validation set", "#000000"),
    ):
        # What was not finite is stored as nothing.
        values = np.asarray(history[key], dtype=float)
        axes.plot(history["step"], values, color=colour, linewidth=1.2, label=label, marker=".", markersize=3)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Training step")
    axes.grid(linewidth=0.4, color="0.9")
    axes.set_axisbelow(True)
