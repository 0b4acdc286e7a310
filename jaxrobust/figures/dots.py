"""Many methods under mismatch: a row for each, a dot for the mean accuracy at each level."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import shades
from jaxrobust.figures.mismatch import EXPLANATION, accuracies_by, mismatch_records
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import Table, write_tables

Points = Sequence[Mapping[str, Any]]


def draw_dots(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the mean accuracy of each method at each level, and write the table.

    Args:
        points: Grid points with ``method``, ``level`` and ``accuracies``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    accuracies = accuracies_by(points)
    methods = list(accuracies)
    levels = sorted({level for by_level in accuracies.values() for level in by_level})
    figure, (axes,) = new_figure(1, 1, width=6.6, height=0.8 + 0.27 * len(methods))
    rows = np.arange(len(methods))[::-1]
    means = {level: [np.mean(accuracies[method][level]) for method in methods] for level in levels}
    axes.hlines(rows, means[levels[-1]], means[levels[0]], color="0.85", linewidth=1, zorder=0)
    for level, (label, style) in zip(levels, shades(f"{level:g}" for level in levels).items(), strict=True):
        axes.scatter(means[level], rows, s=26, color=style.colour, label=label)
    axes.set_yticks(rows, methods)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Mean test accuracy")
    axes.grid(axis="x", linewidth=0.4, color="0.9")
    axes.set_axisbelow(True)
    axes.legend(
        title="Mismatch ζ",
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    table = Table(
        "",
        ["Method", *(f"ζ = {level:g}" for level in levels)],
        [
            [
                method,
                *(
                    f"{100 * np.mean(values):.2f} ({100 * np.std(values):.2f}) [{100 * np.min(values):.2f}]"
                    for values in (accuracies[method][level] for level in levels)
                ),
            ]
            for method in methods
        ],
        describe(points),
    )
    return save_figure(figure, folder, name, describe(points)) + write_tables(
        folder, name, [table], explanation=EXPLANATION, records=mismatch_records("", points)
    )
