"""Mismatch accuracies panel by panel: standard against robust as a figure, all methods as tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import mannwhitneyu

from jaxrobust.figures.captions import describe
from jaxrobust.figures.mismatch import EXPLANATION, accuracies_by, mismatch_records, mismatch_table
from jaxrobust.figures.style import METHOD_COLOURS, new_figure, save_figure
from jaxrobust.figures.tables import Table, write_tables
from jaxrobust.figures.violins import split_violins

Points = Sequence[Mapping[str, Any]]
Panels = Mapping[str, Points]


def compare_under_mismatch(panels: Panels, folder: Path, name: str, *, left: str, right: str) -> list[Path]:
    """Draw split violins of two methods in every panel, and write the tables of all methods.

    Args:
        panels: Titles, each with its evaluated grid points: ``method``, ``level``, ``accuracies`` and where
            the data came from.
        folder: Where the files go.
        name: Their name without ending.
        left: The method drawn on the left.
        right: The method drawn on the right.

    Returns:
        The files written, the picture first.
    """
    panels = {title: points for title, points in panels.items() if points}
    figure, axes = new_figure(1, len(panels), width=5.4 * len(panels), height=3.6)
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        draw_two_methods(ax, points, left, right)
        ax.set_title(title, loc="left")
    files = save_figure(figure, folder, name, caption_of(panels))
    return files + write_comparison(panels, folder, name, left=left, right=right)


def draw_two_methods(axes: Axes, points: Points, left: str, right: str) -> None:
    """Split violins of two methods at every level but 0, where all devices are alike."""
    accuracies = accuracies_by(points)
    split_violins(
        axes,
        {level: values for level, values in accuracies[left].items() if level > 0},
        {level: values for level, values in accuracies[right].items() if level > 0},
        colours=(METHOD_COLOURS[left], METHOD_COLOURS[right]),
        labels=(left, right),
    )


def caption_of(panels: Panels) -> str:
    """What stands behind each panel."""
    return "\n".join(f"{title.strip()}: {describe(points)}" for title, points in panels.items())


def write_comparison(
    panels: Panels, folder: Path, name: str, *, left: str | None = None, right: str | None = None
) -> list[Path]:
    """Write the accuracies of all methods as Markdown, LaTeX and CSV.

    With ``left`` and ``right`` a last table says how likely it is that two methods that are equally good
    differ as much as these (Mann-Whitney U test over all devices, two-sided).
    """
    tables = [mismatch_table(title, points) for title, points in panels.items()]
    records = [record for title, points in panels.items() for record in mismatch_records(title, points)]
    if left and right:
        tables.append(_test_table(panels, left, right))
    return write_tables(folder, name, tables, explanation=EXPLANATION, records=records)


def _test_table(panels: Panels, left: str, right: str) -> Table:
    columns = {title.strip(): _tests(points, left, right) for title, points in panels.items()}
    levels = sorted({level for column in columns.values() for level in column})
    return Table(
        f"{right} against {left}: p values",
        ["ζ", *columns],
        [[f"{level:g}", *(column[level] for column in columns.values())] for level in levels],
        f"Mann-Whitney U test over the devices of all networks, two-sided; an asterisk where {left} has the "
        "higher mean. Devices of one network are not independent networks.",
    )


def _tests(points: Points, left: str, right: str) -> dict[float, str]:
    accuracies = accuracies_by(points)
    result = {}
    for level, ours in accuracies[right].items():
        if level > 0:
            others = accuracies[left][level]
            mark = "*" if np.mean(others) > np.mean(ours) else ""
            result[level] = f"{mannwhitneyu(others, ours).pvalue:.1e}{mark}"
    return result
