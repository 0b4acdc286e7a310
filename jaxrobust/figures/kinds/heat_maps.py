"""Heat maps: the entries of a matrix as colors; differences with zero in white, accuracies from 0 to 1."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.ticker import MaxNLocator

from jaxrobust.figures.style import in_percent


def draw_heat_map(axes: Axes, matrix: Float[np.ndarray, "rows columns"], x_label: str = "") -> None:
    """Draw a matrix, its first row on top, with a color bar symmetric about zero.

    Args:
        axes: Where to draw.
        matrix: Finite numbers.
        x_label: What the columns are.
    """
    limit = float(np.abs(matrix).max(initial=0)) or 1.0
    _draw(axes, matrix, "RdBu_r", -limit, limit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel(x_label, fontsize=8)


def draw_accuracy_map(
    axes: Axes, matrix: Float[np.ndarray, "rows columns"], rows: Sequence[float], columns: Sequence[float]
) -> None:
    """Draw accuracies over two settings, the first row at the bottom; NaN, where nothing is known, is white.

    Args:
        axes: Where to draw.
        matrix: Fractions.
        rows: The setting of each row.
        columns: The setting of each column.
    """
    bar = _draw(axes, matrix, "viridis", 0.0, 1.0)
    in_percent(bar.ax.yaxis)
    axes.invert_yaxis()
    axes.set_xticks(range(len(columns)), [f"{x:.3g}" for x in columns], rotation=60)
    axes.set_yticks(range(len(rows)), [f"{y:.3g}" for y in rows])


def _draw(
    axes: Axes, matrix: Float[np.ndarray, "rows columns"], colors: str, lowest: float, highest: float
) -> Colorbar:
    image = axes.imshow(
        matrix, cmap=colors, vmin=lowest, vmax=highest, aspect="auto", interpolation="nearest"
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=7)
    axes.tick_params(labelsize=7)
    return bar
