"""Error bars: mean and standard deviation over levels, one line per label."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.style import accuracy_axis, light_grid, shades


def draw_error_bars(axes: Axes, lines: Mapping[str, Mapping[float, Sequence[float]]]) -> None:
    """Draw mean and standard deviation of accuracies (fractions) over evenly spaced levels."""
    levels = sorted({level for values in lines.values() for level in values})
    for index, ((label, values), style) in enumerate(zip(lines.items(), shades(lines).values(), strict=True)):
        offset = 0.08 * (index - (len(lines) - 1) / 2)
        axes.errorbar(
            [levels.index(level) + offset for level in values],
            [np.mean(values[level]) for level in values],
            yerr=[np.std(values[level]) for level in values],
            color=style.colour,
            linewidth=1.2,
            capsize=2,
            marker=style.marker,
            markersize=4,
            label=label,
        )
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    accuracy_axis(axes)
    light_grid(axes, axis="y", color="0.85")
