"""Heat maps: the entries of a matrix as colors, zero in white."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator


def draw_heat_map(axes: Axes, matrix: Float[np.ndarray, "rows columns"], x_label: str = "") -> None:
    """Draw a matrix, its first row on top, with a color bar symmetric about zero.

    Args:
        axes: Where to draw.
        matrix: Finite numbers.
        x_label: What the columns are.
    """
    limit = float(np.abs(matrix).max(initial=0)) or 1.0
    image = axes.imshow(
        matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=7)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel(x_label, fontsize=8)
