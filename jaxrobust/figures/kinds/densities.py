"""Densities: histograms with given edges, and curves over a logarithmic axis."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.style import LineStyle


def draw_histograms(
    axes: Axes,
    histograms: Iterable[tuple[str, Sequence[float], Sequence[float]]],
    styles: Mapping[str, LineStyle],
) -> None:
    """Draw counts as densities on a logarithmic axis.

    Args:
        axes: Where to draw.
        histograms: A label, ``n + 1`` edges and ``n`` counts each.
        styles: Styles by label.
    """
    for label, edges, counts in histograms:
        style = styles[label]
        heights = np.asarray(counts) / (np.sum(counts) * np.diff(edges))
        axes.stairs(heights, edges, linewidth=min(style.width, 1.6), label=label, **style.look)
    axes.set_yscale("log")


def draw_densities(
    axes: Axes,
    places: np.ndarray,
    densities: Mapping[str, Sequence[np.ndarray]],
    styles: Mapping[str, LineStyle],
    *,
    lowest: float,
) -> None:
    """Draw the mean density of each label over ``places``, with gaps where it is below ``lowest``."""
    for label, curves in densities.items():
        style = styles[label]
        mean = np.mean(curves, axis=0)
        shown = np.where(mean >= lowest, mean, np.nan)
        axes.semilogy(places, shown, linewidth=style.width, label=label, **style.look)
    axes.set_ylim(bottom=lowest)
