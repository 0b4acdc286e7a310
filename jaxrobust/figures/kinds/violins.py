"""Split violins: two distributions of accuracy at each mismatch level, left against right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from jaxrobust.figures.style import accuracy_axis, light_grid

WIDTH = 0.42


def split_violins(
    axes: Axes,
    left: Mapping[float, Sequence[float]],
    right: Mapping[float, Sequence[float]],
    *,
    colours: tuple[str, str],
    labels: tuple[str, str],
) -> None:
    """Draw the accuracies of two methods at each level as two half violins with their quartiles.

    Args:
        axes: Where to draw.
        left: Accuracies (fractions) of the left method by level.
        right: Accuracies of the right method by level; the same levels.
        colours: Of the left and the right halves.
        labels: Names of the two methods for the legend.
    """
    levels = sorted(left)
    for position, level in enumerate(levels):
        _half(axes, np.asarray(left[level]), position, side=-1, colour=colours[0])
        _half(axes, np.asarray(right[level]), position, side=1, colour=colours[1])
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axes.set_xlim(-0.6, len(levels) - 0.4)
    axes.set_xlabel("Mismatch level ζ (relative standard deviation of every parameter)")
    axes.set_ylabel("Test accuracy")
    accuracy_axis(axes)
    light_grid(axes, axis="y", color="0.85")
    handles = [Patch(color=colour, label=label) for colour, label in zip(colours, labels, strict=True)]
    axes.legend(handles=handles, loc="center left", fontsize=8, frameon=False)


def _half(axes: Axes, values: np.ndarray, position: float, *, side: int, colour: str) -> None:
    if np.ptp(values) < 1e-6:  # all devices alike: a violin would be a line of no height
        axes.plot([position, position + side * WIDTH], [values[0]] * 2, color=colour, linewidth=2)
        return
    parts = axes.violinplot(
        [values],
        positions=[position],
        widths=2 * WIDTH,
        showextrema=False,
        side="low" if side < 0 else "high",
    )
    bodies: Any = parts["bodies"]
    for body in bodies:
        body.set(facecolor=colour, alpha=0.9, edgecolor="none")
    for fraction, dashes in ((0.25, (2, 2)), (0.5, (None, None)), (0.75, (2, 2))):
        height = np.quantile(values, fraction)
        axes.plot(
            [position, position + side * 0.16],
            [height] * 2,
            color="white" if colour in ("#000000", "black") else "0.15",
            linewidth=0.9,
            dashes=dashes,
        )
