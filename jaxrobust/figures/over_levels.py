"""Metrics of evaluated points over a swept number, for studies of any kind: one figure and its table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.captions import counted, listed, samples_of
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.pooling import spread_of
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.style import in_percent, shades
from jaxrobust.figures.tables import Numbers, Table


def draw_over_levels(
    points: Points,
    folder: Path,
    name: str,
    *,
    label: Callable[[Mapping[str, Any]], str],
    x: str = "level",
    y: str = "accuracies",
    x_label: str = "Mismatch level ζ",
    y_label: str = "",
) -> list[Path]:
    """Draw the mean of a metric over a swept number, one line per label, and write the numbers.

    Bands reach from the smallest to the largest value of all networks and devices. The caption says how
    many networks stand behind each line, and how far an accuracy may be off for the size of the test set.

    Args:
        points: Evaluated grid points, which hold ``x`` and ``y``.
        folder: Where the files go.
        name: Their name without ending.
        label: The name of a point's line, such as ``lambda point: type(point["method"]).__name__``.
        x: Key of the swept number.
        y: Key of the values: accuracies as fractions, or scores of another criterion.
        x_label: Of the horizontal axis.
        y_label: Of the vertical axis.

    Returns:
        The files written, the picture first.

    Raises:
        InputError: There are no points, or one lacks ``x`` or ``y``.
    """
    if not points:
        raise InputError(f"There are no points to draw in {name}.")
    for point in points:
        for key in (x, y):
            if key not in point:
                raise InputError(
                    f"A point of {name} has no {key!r}: evaluate the points before drawing them."
                )
    lines: dict[str, dict[float, list[float]]] = {}
    for point in points:
        values = lines.setdefault(label(point), {}).setdefault(point[x], [])
        values.extend(np.ravel(point[y]).tolist())
    are_fractions = _are_accuracies(points[0])

    def draw(axes: Axes, content: Series) -> None:
        draw_curves(axes, content, shades(content), categorical=True)
        axes.set_xlabel(x_label)
        if are_fractions:
            in_percent(axes.yaxis)
            mark_chance(axes, points)

    row = Row(draw, y_label or ("Accuracy" if are_fractions else "Score"))
    figure = Composition({"": lines}, [row], width=4.4, height=3.4, legend=Legend(n_columns=3))
    caption = _caption(points, label, y, lines, are_fractions)
    return figure.write(folder, name, caption, _numbers(lines, x, are_fractions))


def _are_accuracies(point: Mapping[str, Any]) -> bool:
    criterion = point.get("criterion")
    return criterion is None or criterion.is_classification


def _caption(
    points: Points, label: Callable[[Mapping[str, Any]], str], y: str, lines: Series, are_fractions: bool
) -> str:
    by_line: dict[str, set[Any]] = {}
    for point in points:
        by_line.setdefault(label(point), set()).add(point.get("trained"))
    counts = {len(networks) for networks in by_line.values()}
    networks = "one network" if counts == {1} else f"{listed(counts)} networks"
    per = "" if len(by_line) == 1 else " per line"
    values = max(np.size(point[y]) for point in points)
    sources = sorted({str(point["data_source"]) for point in points if "data_source" in point})
    spread = spread_of((its for of_line in lines.values() for its in of_line.values()), of="values")
    return (
        f"{'; '.join(sources)}, {_samples(points[0], are_fractions)}, {networks}{per}, "
        f"at most {counted(values, 'device')} per network and level; {spread}."
    )


def _samples(point: Mapping[str, Any], are_fractions: bool) -> str:
    if "n_test_samples" not in point:
        return "? test samples"
    return samples_of(point) if are_fractions else f"{point['n_test_samples']} test samples"


def _numbers(lines: Series, x: str, are_fractions: bool) -> Numbers:
    scale, digits = (100, 2) if are_fractions else (1, 4)
    levels: Sequence[float] = sorted({level for values in lines.values() for level in values})

    def cell(values: Sequence[float]) -> str:
        mean, spread = scale * np.mean(values), scale * np.std(values)
        return f"{mean:.{digits}f} ({spread:.{digits}f}) [{scale * np.min(values):.{digits}f}]"

    rows = [
        [f"{level:g}", *(cell(values[level]) if level in values else "" for values in lines.values())]
        for level in levels
    ]
    records = [
        {"line": label, x: level, "value": value}
        for label, values in lines.items()
        for level, all_values in values.items()
        for value in all_values
    ]
    unit = "in %, " if are_fractions else ""
    table = Table("", [x, *lines], rows)
    return Numbers([table], records, f"Test metric {unit}mean (standard deviation) [minimum].")
