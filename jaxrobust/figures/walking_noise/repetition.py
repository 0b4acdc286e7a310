"""Accuracy over mean executions per layer, one line per scaling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.style import LineStyle, accuracy_axis
from jaxrobust.figures.walking_noise.points import Points, describe, name_of

STYLES = {
    "uniform": LineStyle("black", 2.0, dashed=True),
    "inverse_lin": LineStyle("#d95f02", 2.0),
    "inverse_sqrt": LineStyle("#7570b3"),
    "inverse_square": LineStyle("#e7298a"),
    "log10": LineStyle("#66a61e"),
    "sqrt": LineStyle("#1b9e77"),
    "inverse_log10": LineStyle("#a6761d"),
    "layer_sort": LineStyle("#1f78b4"),
    "layer_sort (published ranks)": LineStyle("#1f78b4", dashed=True),
}


def draw_repetition(points: Points, folder: Path, name: str, budgets: Sequence[int]) -> list[Path]:
    """Draw the main scalings; the table has all of them.

    Args:
        points: Points with ``plans`` (names) and ``accuracies``, one column per plan and budget.
        folder: Where the files go.
        name: Their name.
        budgets: Mean executions.
    """
    panels: dict[str, dict[str, dict[int, list[float]]]] = {}
    for point in points:
        lines = panels.setdefault(f"{name_of(point['network'])}, σ = {point['sweep'].levels[0]:g}", {})
        accuracies = np.array(point["accuracies"]).mean(axis=0).reshape(len(point["plans"]), len(budgets))
        for label, row in zip(point["plans"], accuracies, strict=True):
            for budget, value in zip(budgets, row, strict=True):
                lines.setdefault(label, {}).setdefault(budget, []).append(float(value))

    def draw(axes: Axes, lines: dict[str, Any]) -> None:
        draw_curves(
            axes, {label: lines[label] for label in STYLES if label in lines}, STYLES, categorical=True
        )
        axes.set_xlabel("mean executions per position")
        accuracy_axis(axes)
        axes.set_ylim(0.4, 1.0)

    caption = (
        f"Averaging executions: the same number for every position, or numbers planned from the midpoints "
        f"of the same networks. Additive noise at all positions. {describe(points)} Bands: smallest to "
        f"largest over networks."
    )
    tables = [LineTable(title, "mean executions", "accuracy", lines) for title, lines in panels.items()]
    composition = Composition(
        panels, [Row(draw, "Test accuracy")], width=4.4, height=3.6, legend=Legend(n_columns=5)
    )
    return composition.write(folder, name, caption, line_numbers(caption, tables))
