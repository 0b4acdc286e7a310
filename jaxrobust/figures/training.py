"""A sweep in one figure: validation accuracy over training on the left, a measured accuracy on the right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import LineStyle, draw_curves, legend_above, series
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Measured:
    """What the right panel shows.

    Attributes:
        x: The key of its horizontal axis.
        y: One accuracy of a point, or several.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        note: What was measured, for the caption.
    """

    x: str
    y: Callable[[Mapping[str, Any]], float | Sequence[float]]
    x_label: str
    y_label: str
    note: str

    @classmethod
    def under_mismatch(cls) -> "Measured":
        """Accuracy of devices at each ``level``."""
        return cls(
            "level",
            lambda point: point["accuracies"],
            "Mismatch level ζ (relative standard deviation)",
            "Test accuracy",
            "Right: mean and range over devices with mismatch.",
        )

    @classmethod
    def under_attack(cls) -> "Measured":
        """Accuracy after attacks of each ``size`` on the cross-entropy."""
        return cls(
            "size",
            lambda point: point["worst_case"]["accuracy"],
            "Attack size ζ (relative to each parameter)",
            "Test accuracy under attack",
            "Right: after an attack on the cross-entropy with ten steps, the same for all networks.",
        )


def draw_training_and(
    measured: Measured,
    points: Points,
    folder: Path,
    name: str,
    *,
    line: str,
    styles: Mapping[str, LineStyle],
    legend_title: str | None = None,
) -> list[Path]:
    """Draw how the networks of a sweep train and what was measured of them, and write its table.

    Args:
        measured: What was measured.
        points: Evaluated grid points.
        folder: Where the files go.
        name: Their name without ending.
        line: The key whose values name the lines.
        styles: Of the lines.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    figure, (left, right) = new_figure(1, 2, width=8.6, height=3.7)
    draw_curves(left, _validation(points, line), styles)
    left.set_title("a  Training", loc="left")
    left.set_xlabel("Epoch")
    left.set_ylabel("Validation accuracy")
    lines = series(points, x=measured.x, y=measured.y, line=line)
    draw_curves(right, lines, styles, categorical=True)
    right.set_title("b  Robustness", loc="left")
    right.set_xlabel(measured.x_label)
    right.set_ylabel(measured.y_label)
    for ax in (left, right):
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(figure, [left, right], title=legend_title, n_columns=4 if len(lines) < 5 else 3)
    caption = f"Left: accuracy on the validation set over training. {measured.note}\n{describe(points)}"
    table = line_table("", "ζ", lines, percent=True, note=describe(points))
    return save_figure(figure, folder, name, caption) + write_tables(
        folder,
        name,
        [table],
        explanation=f"{measured.y_label} in %: mean [smallest, largest].",
        records=line_records("", measured.y_label, lines),
    )


def _validation(points: Points, line: str) -> dict[str, dict[float, list[float]]]:
    """Validation accuracies of every network once, though it has a point for each level."""
    found: dict[str, dict[float, list[float]]] = {}
    for point in {point["trained"]: point for point in points}.values():
        label = point[line] if isinstance(point[line], str) else f"{point[line]:g}"
        history = point["history"]
        for step, accuracy in zip(history["step"], history["validation_accuracy"], strict=True):
            if accuracy is not None:  # what was not finite is stored as nothing
                epoch = step / point["n_steps"] * sum(point["n_epochs"])
                found.setdefault(label, {}).setdefault(epoch, []).append(accuracy)
    return found
