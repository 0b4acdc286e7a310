"""Dots of many methods: one line a method, one dot for its accuracy at each mismatch level."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

# From no mismatch to the largest: light to dark.
SHADES = ("#b9cdee", "#4c84e6", "#1b3a75")


def draw_method_dots(
    axes: Axes, title: str, means: Mapping[str, Mapping[float, float]], *, first: bool
) -> None:
    """Draw mean accuracies (fractions) by method and level, the first method on top.

    Args:
        axes: Where to draw.
        title: The panel's.
        means: Accuracy by method and mismatch level; at most three levels.
        first: Whether this panel names the methods and levels for all.
    """
    for row, of_method in enumerate(means.values()):
        values = list(of_method.values())
        axes.plot([min(values), max(values)], [row, row], color="0.85", linewidth=1.2, zorder=1)
        for (level, value), shade in zip(of_method.items(), SHADES, strict=False):
            label = f"ζ = {level:g}" if first and row == 0 else None
            axes.scatter([value], [row], s=22, color=shade, zorder=2, label=label)
    axes.set_yticks(range(len(means)), list(means) if first else [""] * len(means))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Mean test accuracy")
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", linewidth=0.4, color="0.9")
    axes.set_axisbelow(True)
    if first:
        axes.legend(loc="lower left", fontsize=7)
