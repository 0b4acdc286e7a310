"""Profiles: one number with its interval per position of a network, on a logarithmic axis."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.style import LineStyle, light_grid


class Measured(Protocol):
    """A number with its interval; where it is a bound only, ``censored`` says of which side."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def low(self) -> float:
        """Lower end of its interval; NaN if there is none."""
        ...

    @property
    def high(self) -> float:
        """Upper end of its interval."""
        ...

    @property
    def censored(self) -> str:
        """``"no"``, ``"above"`` or ``"below"``."""
        ...


def draw_profile(
    axes: Axes,
    lines: Mapping[str, Mapping[str, Measured]],
    styles: Mapping[str, LineStyle],
    reference: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Draw midpoints position by position; arrows where only a bound is known.

    Args:
        axes: Where to draw.
        lines: Midpoints by label and position, in the order of positions.
        styles: Styles by label.
        reference: Values of others by label, drawn as crosses.
    """
    positions = list(max(lines.values(), key=len))
    for shift, (label, line) in enumerate(lines.items()):
        offset = 0.12 * (shift - (len(lines) - 1) / 2)
        look = styles[label]
        where = [positions.index(name) + offset for name in line]
        values = np.array([midpoint.value for midpoint in line.values()])
        axes.plot(where, values, label=label, linewidth=look.width, marker="o", markersize=3, **look.look)
        for x, midpoint in zip(where, line.values(), strict=True):
            if midpoint.censored != "no":
                end = 14 if midpoint.censored == "above" else -14
                arrow = {"arrowstyle": "<-", "color": look.colour}
                place = (x, midpoint.value)
                axes.annotate("", place, (0, end), textcoords="offset points", arrowprops=arrow)
            elif np.isfinite(midpoint.low):
                axes.plot([x, x], [midpoint.low, midpoint.high], color=look.colour, linewidth=2.5, alpha=0.5)
    for label, numbers in (reference or {}).items():
        axes.plot(range(len(numbers)), numbers, "x", color="black", markersize=5, label=label, zorder=3)
    axes.set_yscale("log")
    axes.set_xticks(range(len(positions)), positions, rotation=60, fontsize=7)
    light_grid(axes)
