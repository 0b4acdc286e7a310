"""Walking profiles of one network trained by several methods, one line per method."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.kinds.profiles import draw_profile
from jaxrobust.figures.style import METHOD_STYLES, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.figures.walking_noise.points import (
    CHANCE,
    EVERYWHERE,
    Points,
    describe,
    lines_over_levels,
    midpoint_record,
    midpoints_of,
    name_of,
)
from jaxrobust.measures.midpoint import Midpoint

KINDS = ("additive", "multiplicative")
Midpoints = dict[str, dict[str, Midpoint]]


def draw_methods(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy over noise everywhere above midpoints per position, one column per kind of noise.

    Args:
        points: Points of one network with ``trained_by``, one of ``METHOD_STYLES``, and with ``accuracies``
            under sweeps of ``additive`` and ``multiplicative`` noise.
        folder: Where the files go.
        name: Their name.
    """
    by_method: dict[str, list[Any]] = {}
    for point in points:
        by_method.setdefault(point["trained_by"], []).append(point)
    midpoints = {
        kind: {method: midpoints_of(its, kind, CHANCE) for method, its in by_method.items()} for kind in KINDS
    }

    def curves(axes: Axes, kind: str) -> None:
        lines = {method: lines_over_levels(its, kind, EVERYWHERE) for method, its in by_method.items()}
        draw_curves(axes, lines, METHOD_STYLES)
        axes.set_xscale("log")
        axes.set_xlabel(f"{kind} noise level σ, at all positions")
        accuracy_axis(axes)

    def profile(axes: Axes, kind: str) -> None:
        lines = {
            method: {place: m for place, m in its.items() if place != EVERYWHERE}
            for method, its in midpoints[kind].items()
        }
        draw_profile(axes, lines, METHOD_STYLES)
        axes.set_xlabel(f"position of the {kind} noise")

    caption = (
        f"Noise on the activations of networks trained by methods against noise of the parameters, "
        f"{name_of(points[0]['network'])}. {describe(points)} Arrows: accuracy does not fall half-way within "
        f"the levels measured."
    )
    tables = [
        _table(kind, its, {method: _least(points, kind) for method, points in by_method.items()})
        for kind, its in midpoints.items()
    ]
    numbers = Numbers(tables, _records(midpoints), caption)
    rows = [Row(curves, "Test accuracy"), Row(profile, "Midpoint noise level µ")]
    composition = Composition(
        {f"{kind} noise": kind for kind in KINDS}, rows, width=4.2, height=5.5, legend=Legend(n_columns=4)
    )
    return composition.write(folder, name, caption, numbers)


def _least(points: Points, kind: str) -> tuple[float, float]:
    """The lowest level of noise everywhere and the mean accuracy under it."""
    line = lines_over_levels(points, kind, EVERYWHERE)
    return min(line), float(np.mean(line[min(line)]))


def _table(kind: str, midpoints: Midpoints, least: dict[str, tuple[float, float]]) -> Table:
    methods = list(midpoints)
    places = list(midpoints[methods[0]])
    level = least[methods[0]][0]
    rows = [[f"accuracy in % at σ = {level:g} everywhere", *(f"{100 * least[m][1]:.1f}" for m in methods)]]
    rows += [
        ["everywhere" if place == EVERYWHERE else place, *(str(midpoints[m][place]) for m in methods)]
        for place in places
    ]
    return Table(f"Midpoints of {kind} noise", ["position", *methods], rows)


def _records(midpoints: dict[str, Midpoints]) -> list[dict[str, Any]]:
    return [
        {"noise": kind, "method": method, "position": place, **midpoint_record(m)}
        for kind, methods in midpoints.items()
        for method, places in methods.items()
        for place, m in places.items()
    ]
