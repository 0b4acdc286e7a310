"""Losses along lines through parameters: their mean and, in thin lines, each direction."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from jaxrobust.figures.style import LineStyle, light_grid

# Points of the published moving average.
WINDOW = 5
# With a larger ratio of losses, a linear axis would draw the flat landscapes on top of each other.
LARGEST_LINEAR_RATIO = 10


def draw_landscapes(
    axes: Axes,
    alphas: np.ndarray,
    curves: Mapping[str, Sequence[Sequence[float]]],
    styles: Mapping[str, LineStyle],
    *,
    smooth: bool,
) -> None:
    """Draw the mean landscape of each label, on a logarithmic axis if losses differ tenfold.

    Args:
        axes: Where to draw.
        alphas: Distances along the lines, shape (n,).
        curves: For each label the losses along each direction, shape (directions, n).
        styles: Styles by label.
        smooth: Draw a moving average, as published; if not, each direction too, as a thin line.
    """
    for label, losses in curves.items():
        style = styles[label]
        mean = np.mean(losses, axis=0)
        if smooth:
            average = np.full(WINDOW, 1 / WINDOW)
            where, mean = np.convolve(alphas, average, "valid"), np.convolve(mean, average, "valid")
        else:
            where = alphas
            axes.plot(alphas, np.transpose(losses), linewidth=0.4, alpha=0.35, **style.look)
        axes.plot(where, mean, linewidth=style.width, label=label, **style.look)
    drawn = np.concatenate([curve.get_ydata() for curve in axes.lines])
    if drawn.min() > 0 and drawn.max() > LARGEST_LINEAR_RATIO * drawn.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    light_grid(axes)
