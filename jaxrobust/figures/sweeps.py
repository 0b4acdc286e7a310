"""Accuracy over the mismatch level for the values of one setting: mean and standard deviation, and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.comparison import caption_of
from jaxrobust.figures.curves import shades
from jaxrobust.figures.mismatch import EXPLANATION, accuracies_by, mismatch_records, mismatch_table
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]


def draw_mismatch_sweep(
    points: Points, folder: Path, name: str, *, setting: str, called: str, none: str = "0"
) -> list[Path]:
    """Draw a panel for each network with a line for each value of a setting, and write the tables.

    Args:
        points: Points with ``level`` and ``accuracies``.
        folder: Where the files go.
        name: Their name without ending.
        setting: The key whose values name the lines.
        called: What the setting is, in words.
        none: How its value 0 is called.

    Returns:
        The files written, the picture first.
    """
    named = [{**point, "line": f"{point[setting]:g}" if point[setting] else none} for point in points]
    panels = panels_by_network(sorted(named, key=lambda point: point[setting]))
    figure, axes = new_figure(1, len(panels), width=4.4 * len(panels), height=3.4)
    for ax, (title, of_network) in zip(axes, panels.items(), strict=True):
        draw_error_bars(ax, accuracies_by(of_network, "line"))
        ax.set_title(title, loc="left")
        ax.legend(title=called, fontsize=8, title_fontsize=8, frameon=False, loc="lower left")
    axes[0].set_ylabel("Test accuracy")
    caption = (
        "Mean and standard deviation over networks and devices; the lines are set a little apart.\n"
        + caption_of(panels)
    )
    files = save_figure(figure, folder, name, caption)
    tables = [mismatch_table(f"{title}: {called}", points, "line") for title, points in panels.items()]
    records = [
        record for title, points in panels.items() for record in mismatch_records(title, points, "line")
    ]
    return files + write_tables(folder, name, tables, explanation=EXPLANATION, records=records)


def draw_error_bars(axes: Axes, lines: Mapping[str, Mapping[float, Sequence[float]]]) -> None:
    """Draw accuracies (fractions) over categorical levels, a line each, side by side so that all are seen."""
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
            marker=".",
            label=label,
        )
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Mismatch level ζ")
    axes.grid(axis="y", linewidth=0.4, color="0.85")
    axes.set_axisbelow(True)
