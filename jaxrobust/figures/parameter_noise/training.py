"""A sweep in one figure: validation accuracy over training on the left, a measured accuracy on the right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Legend, Row, draw_each
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, label_of, series
from jaxrobust.figures.style import LineStyle, accuracy_axis


@dataclass(frozen=True)
class Measured:
    """What the right panel shows.

    Attributes:
        x: The key of its horizontal axis.
        y: Returns one accuracy of a point, or several.
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
    """Draw validation accuracy over training beside a measured accuracy, and write its table.

    Args:
        measured: What was measured.
        points: Evaluated grid points.
        folder: Where the files go.
        name: Their name without ending.
        line: The key whose values label the lines.
        styles: Styles by label.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    lines = series(points, x=measured.x, y=measured.y, line=line)

    def draw_training(axes: Axes) -> None:
        draw_curves(axes, _validation(points, line), styles)
        axes.set_xlabel("Epoch")
        axes.set_ylabel("Validation accuracy")
        accuracy_axis(axes)
        mark_chance(axes, points)

    def draw_measured(axes: Axes) -> None:
        draw_curves(axes, lines, styles, categorical=True)
        axes.set_xlabel(measured.x_label)
        axes.set_ylabel(measured.y_label)
        accuracy_axis(axes)
        mark_chance(axes, points)

    figure = Composition(
        {"a  Training": draw_training, "b  Robustness": draw_measured},
        [Row(draw_each)],
        width=4.3,
        height=3.7,
        legend=Legend(legend_title, n_columns=4 if len(lines) < 5 else 3),
    )
    caption = f"Left: accuracy on the validation set over training. {measured.note}\n{describe(points)}"
    numbers = line_numbers(
        f"{measured.y_label} in %: mean [smallest, largest].",
        [LineTable("", "ζ", measured.y_label, lines, note=describe(points))],
    )
    return figure.write(folder, name, caption, numbers)


def _validation(points: Points, line: str) -> dict[str, dict[float, list[float]]]:
    """Collect validation accuracies by line and epoch; each network counts once, not once per level."""
    found: dict[str, dict[float, list[float]]] = {}
    for point in {point["trained"]: point for point in points}.values():
        label = label_of(point, line)
        history = point["history"]
        for step, accuracy in zip(history["step"], history["validation_accuracy"], strict=True):
            if accuracy is not None:  # None: not finite
                epoch = step / point["n_steps"] * sum(point["n_epochs"])
                found.setdefault(label, {}).setdefault(epoch, []).append(accuracy)
    return found
