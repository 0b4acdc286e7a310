"""Lipschitz networks and those of the first study under mismatch of, and attacks on, what a chip stores."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.captions import counted
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Legend, Row, draw_each
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.style import METHOD_STYLES, LineStyle, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table

COLORS = ("#7f3c8d", "#80672b", "#11a579", "#666666")
PANELS = {
    "mismatched": ("Mismatch", "Mismatch level ζ"),
    "attacked": ("Attack", "Attack size ζ"),
    "certified": ("Certified under mismatch", "Mismatch level ζ"),
}


def draw_stored(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy over mismatch and attack size, and certified accuracy over mismatch; write the tables.

    Args:
        points: Evaluated by ``studies.lipschitz.stored.evaluate_stored``.
        folder: Where to.
        name: Of the files.

    Raises:
        InputError: There are no points, or one was not evaluated.
    """
    if not points or any(key not in point for point in points for key in PANELS):
        raise InputError(f"{name} needs evaluated points; were they filtered away?")
    styles = _styles(points)
    series = {key: _series(points, key) for key in PANELS}

    def draw(key: str, axes: Axes) -> None:
        draw_curves(axes, series[key], styles, categorical=True)
        accuracy_axis(axes)
        mark_chance(axes, points)
        axes.set_xlabel(PANELS[key][1])

    panels = {title: partial(draw, key) for key, (title, _) in PANELS.items() if series[key]}
    tables = [_table(title, series[key]) for key, (title, _) in PANELS.items() if series[key]]
    records = [
        {"panel": key, "line": line, "x": x, "value": value}
        for key, lines in series.items()
        for line, values in lines.items()
        for x, found in values.items()
        for value in found
    ]
    explanation = (
        "Accuracy in % of networks whose stored numbers, kernels rather than their parameters, deviate at "
        "random or are attacked; certified: at the L2 radius of the data set, by the measured constant of "
        "the deviating kernels."
    )
    composition = Composition(panels, [Row(draw_each, "Accuracy")], 3.0, 3.0, legend=Legend(n_columns=6))
    return composition.write(folder, name, _caption(points), Numbers(tables, records, explanation))


def _styles(points: Points) -> dict[str, LineStyle]:
    lines = list(dict.fromkeys(point["line"] for point in points))
    colors = iter(COLORS)
    return {
        line: METHOD_STYLES[line] if line in METHOD_STYLES else LineStyle(next(colors), 1.8) for line in lines
    }


def _series(points: Points, key: str) -> Series:
    lines: dict[str, dict[float, list[float]]] = {}
    for point in points:
        for x, found in point[key].items():
            values = [found["certified"]] if isinstance(found, Mapping) else np.ravel(found).tolist()
            lines.setdefault(point["line"], {}).setdefault(x, []).extend(values)
    return lines


def _table(title: str, lines: Series) -> Table:
    xs = sorted({x for values in lines.values() for x in values})
    rows = [[f"{x:g}", *(f"{100 * np.mean(values[x]):.1f}" for values in lines.values())] for x in xs]
    return Table(title, ["ζ", *lines], rows)


def _caption(points: Points) -> str:
    first: Any = points[0]
    radius = next((point["radius"] for point in points if "radius" in point), None)
    certified = "" if radius is None else f" Certified at L2 radius {radius:g}."
    seeds = len({point["seed"] for point in points})
    return (
        f"{first['data_source']}, {first['n_test_samples']} test samples, {counted(seeds, 'seed')}. Mismatch "
        f"and attack act on kernels as a chip stores them. Bands: smallest to largest.{certified}"
    )
