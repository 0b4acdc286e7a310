"""Accuracy over the noise of the evaluation, for networks trained at one level or at a range of levels."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.style import accuracy_axis, shades
from jaxrobust.figures.walking_noise.points import Points, describe


def draw_vant(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw one curve per share and spread; its label has the mean over all levels.

    Args:
        points: Points with ``share``, ``spread`` and ``accuracies`` over the levels of their ``sweep``.
        folder: Where the files go.
        name: Their name.
    """
    lines: dict[str, dict[float, list[float]]] = {}
    for point in points:
        accuracies = np.array(point["accuracies"])
        kind = "one level" if point["spread"] == 0 else f"α {point['share']:g}, θ {point['spread']:g}"
        line = {level: accuracies[:, i].tolist() for i, level in enumerate(point["sweep"].levels)}
        lines[f"{kind} (mean {accuracies.mean():.1%})"] = line

    def draw(axes: Axes, its: dict[str, Any]) -> None:
        draw_curves(axes, its, shades(its))
        axes.set_xlabel("noise level σ of the evaluation")
        axes.legend(fontsize=7)
        accuracy_axis(axes)

    caption = (
        f"Noise at all positions, in training at {points[0]['method'].std:g} or at a level per image, "
        f"α σ + θ |ε|. {describe(points)}"
    )
    numbers = line_numbers(caption, [LineTable("Test accuracy", "σ", "accuracy", lines)])
    return Composition({"": lines}, [Row(draw, "Test accuracy")], width=4.5, height=3.6).write(
        folder, name, caption, numbers
    )
