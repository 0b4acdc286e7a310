"""Accuracy over training, and after an attack compared with random corners of the same box."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.curves import draw_curves, draw_history
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.style import LineStyle, accuracy_axis

CORNERS, ATTACK = "Random corners", "Attack on the cross-entropy"
STYLES = {CORNERS: LineStyle("#4c84e6", 1.5), ATTACK: LineStyle("#fc033d", 1.5)}


def draw_attack_against_random(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy over training and over the size of the box, one column per network.

    Args:
        points: Trained points with ``size``, ``worst_case`` and ``corners``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    panels = _panels(points)
    first = next(iter(panels.values()))

    def draw_training(axes: Axes, of_network: Points) -> None:
        history = of_network[0]["history"]
        lines = {
            "Training batches": (history["training_accuracy"], "0.6"),
            "Validation set": (history["validation_accuracy"], "#000000"),
        }
        draw_history(axes, history["step"], lines)
        accuracy_axis(axes)
        mark_chance(axes, of_network)
        axes.set_xlabel("Training step")
        if of_network is first:
            axes.legend(fontsize=7, frameon=False, loc="lower right")

    def draw_box(axes: Axes, of_network: Points) -> None:
        draw_curves(axes, _lines(of_network), STYLES, categorical=True)
        accuracy_axis(axes)
        mark_chance(axes, of_network)
        axes.set_xlabel("Size of the box ζ")
        if of_network is first:
            axes.legend(fontsize=7, frameon=False, loc="best")

    rows = [Row(draw_training, "Accuracy in training"), Row(draw_box, "Test accuracy")]
    figure = Composition(panels, rows, width=3.3, height=5.4)
    n_corners = len(points[0]["corners"])
    caption = (
        "Top: accuracy over training; attacked accuracy is not recorded then. Bottom: mean and range "
        f"of {n_corners} random corners of the box around the parameters, and the end of one attack with ten "
        f"steps.\n{describe(points)}"
    )
    numbers = line_numbers(
        "Test accuracy in %: mean [smallest, largest].",
        [LineTable(title, "ζ", "accuracy", _lines(of), note=describe(of)) for title, of in panels.items()],
    )
    return figure.write(folder, name, caption, numbers)


def _panels(points: Points) -> dict[str, list[Mapping[str, Any]]]:
    columns: dict[float, list[Mapping[str, Any]]] = {}
    for point in points:
        columns.setdefault(point["beta_robustness"], []).append(point)
    return {
        f"{letter}  β = {beta:g}": of_network
        for letter, (beta, of_network) in zip("abcdefgh", columns.items(), strict=False)
    }


def _lines(points: Points) -> Series:
    return {
        CORNERS: {point["size"]: point["corners"] for point in points},
        ATTACK: {point["size"]: [point["worst_case"]["accuracy"]] for point in points},
    }
