"""Mismatch accuracies panel by panel: standard against robust as a figure, all methods as tables."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.violins import split_violins
from jaxrobust.figures.parameter_noise.differences import (
    Difference,
    accuracies_of_networks,
    paired_difference,
)
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
    """Draw split violins of two methods at every level; at 0, where all devices are alike, two lines."""
    accuracies = accuracies_by(points)
    split_violins(
        axes,
        accuracies[left],
        accuracies[right],
        colours=(METHOD_COLOURS[left], METHOD_COLOURS[right]),
        labels=(left, right),
    )
    mark_chance(axes, points)


def caption_of(panels: Panels) -> str:
    """Describe the data and networks of each panel."""
    return "\n".join(f"{title.strip()}: {describe(points)}" for title, points in panels.items())


def comparison_numbers(panels: Panels, left: str, right: str) -> Numbers:
    """Collect the accuracies of all methods.

    A last table gives the difference between ``left`` and ``right`` on common devices.
    """
    tables = [mismatch_table(title, points) for title, points in panels.items()]
    records = [record for title, points in panels.items() for record in mismatch_records(title, points)]
    return Numbers([*tables, _difference_table(panels, left, right)], records, EXPLANATION)


def _difference_table(panels: Panels, left: str, right: str) -> Table:
    columns = {title.strip(): _differences(points, left, right) for title, points in panels.items()}
    levels = sorted({level for column in columns.values() for level in column})
    several = any(difference.n_networks > 1 for column in columns.values() for difference in column.values())
    of = "networks" if several else "the devices of one pair of networks; other networks may differ by more"
    return Table(
        f"{right} minus {left}, in points",
        ["ζ", *columns],
        [[f"{level:g}", *(_written(column.get(level)) for column in columns.values())] for level in levels],
        f"Mean difference on common device draws ± its standard error over {of}.",
    )


def _differences(points: Points, left: str, right: str) -> dict[float, Difference]:
    networks = accuracies_of_networks(points)
    return {
        level: paired_difference(ours, networks[left][level])
        for level, ours in networks[right].items()
        if level in networks[left]
    }


def _written(difference: Difference | None) -> str:
    if difference is None:
        return "–"
    error = "" if math.isnan(difference.error) else f" ± {100 * difference.error:.2f}"
    return f"{100 * difference.mean:+.2f}{error}"
