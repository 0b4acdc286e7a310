"""Mismatch accuracies panel by panel: standard against robust as a figure, all methods as tables."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import mannwhitneyu

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.violins import split_violins
from jaxrobust.figures.parameter_noise.mismatch import (
    EXPLANATION,
    accuracies_by,
    mismatch_records,
    mismatch_table,
)
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import METHOD_COLOURS
from jaxrobust.figures.tables import Numbers, Table

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
    rows = [Row(partial(draw_two_methods, left=left, right=right))]
    figure = Composition(panels, rows, width=5.4, height=3.6)
    return figure.write(folder, name, caption_of(panels), comparison_numbers(panels, left, right))


def draw_two_methods(axes: Axes, points: Points, left: str, right: str) -> None:
    """Draw split violins of two methods at every level but 0, where all devices are alike."""
    accuracies = accuracies_by(points)
    split_violins(
        axes,
        {level: values for level, values in accuracies[left].items() if level > 0},
        {level: values for level, values in accuracies[right].items() if level > 0},
        colours=(METHOD_COLOURS[left], METHOD_COLOURS[right]),
        labels=(left, right),
    )


def caption_of(panels: Panels) -> str:
    """Describe the data and networks of each panel."""
    return "\n".join(f"{title.strip()}: {describe(points)}" for title, points in panels.items())


def comparison_numbers(panels: Panels, left: str, right: str) -> Numbers:
    """Collect the accuracies of all methods.

    A last table gives the probability that two equally good methods differ as much as ``left`` and ``right``
    (Mann-Whitney U test over all devices, two-sided).
    """
    tables = [mismatch_table(title, points) for title, points in panels.items()]
    records = [record for title, points in panels.items() for record in mismatch_records(title, points)]
    return Numbers([*tables, _test_table(panels, left, right)], records, EXPLANATION)


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
