"""Lines with bands: a quantity over attack sizes, levels, weights or training steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.series import Series
from jaxrobust.figures.style import LineStyle, light_grid

# Short lines get a marker at each point; a line of one point would be invisible without.
MAX_MARKED = 30


def draw_curves(
    axes: Axes, lines: Series, styles: Mapping[str, LineStyle], *, categorical: bool = False
) -> None:
    """Draw the mean of each line, with a band from its smallest to its largest value where there are several.

    Args:
        axes: Where to draw.
        lines: Values by label and x.
        styles: Styles by label.
        categorical: Space the x values evenly and label each.
    """
    ticks = sorted({x for values in lines.values() for x in values})
    position = {x: place if categorical else x for place, x in enumerate(ticks)}
    for label, values in lines.items():
        style = styles[label]
        xs = sorted(values)
        where = [position[x] for x in xs]
        axes.plot(
            where,
            [np.mean(values[x]) for x in xs],
            linewidth=style.width,
            marker=style.marker if categorical or len(xs) <= MAX_MARKED else None,
            markersize=4,
            label=label,
            **style.look,
        )
        if any(len(values[x]) > 1 for x in xs):
            axes.fill_between(
                where,
                [np.min(values[x]) for x in xs],
                [np.max(values[x]) for x in xs],
                color=style.colour,
                alpha=0.15,
                linewidth=0,
            )
    if categorical:
        axes.set_xticks(range(len(ticks)), [f"{x:g}" for x in ticks])
    light_grid(axes)


def draw_history(axes: Axes, steps: Sequence[float], lines: Mapping[str, tuple[Sequence[Any], str]]) -> None:
    """Draw accuracies over training steps, one line per label with its values and colour.

    Values that were not finite are stored as None and leave gaps.
    """
    for label, (values, colour) in lines.items():
        accuracies = np.asarray(values, dtype=float)
        axes.plot(steps, accuracies, color=colour, linewidth=1.2, label=label, marker=".", markersize=3)
    light_grid(axes)
