"""Verified accuracy of spiking networks, and the membrane potentials that decide about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.kinds.densities import draw_histograms
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.pooling import spread_of
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.style import METHOD_STYLES, accuracy_axis


def draw_verified_accuracy(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw and tabulate the verified accuracy of each method over the ``size`` of the box."""
    panels = panels_by_network(points)
    lines = {title: series(of, x="size", y=lambda point: point["verified"]) for title, of in panels.items()}
    numbers = line_numbers(
        "Verified test accuracy in %: mean over networks [smallest, largest].",
        [
            LineTable(title, "ζ", "verified accuracy", lines[title], note=describe(of_network))
            for title, of_network in panels.items()
        ],
    )
    spread = spread_of(values for of in lines.values() for by_x in of.values() for values in by_x.values())
    caption = (
        "Test samples that every network in the box classifies correctly, proven by interval propagation "
        f"(at ζ = 0: whatever the rounding); {spread}.\n"
        f"{describe(points)}"
    )
    rows = [Row(_verified, "Verified test accuracy")]
    figure = Composition(lines, rows, width=4.2, height=3.6, legend=Legend())
    return figure.write(folder, name, caption, numbers)


def draw_membrane_potentials(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the density of membrane potentials (``activity`` of each point), one line per network."""
    rows = [Row(_potentials, "Density")]
    figure = Composition(panels_by_network(points), rows, width=4.2, height=3.6, legend=Legend())
    caption = (
        "Membrane potentials over units, time steps and at most 100 test samples; all below -20 stand in the "
        f"lowest bin; a line a network.\n{describe([_of_activity(point) for point in points])}"
    )
    return figure.write(folder, name, caption)


def _verified(axes: Axes, lines: Series) -> None:
    draw_curves(axes, lines, METHOD_STYLES, categorical=True)
    axes.set_xlabel("Half width of the box ζ (relative to each parameter)")
    accuracy_axis(axes)


def _potentials(axes: Axes, points: Points) -> None:
    histograms = [
        (point["method"], point["activity"]["edges"], point["activity"]["counts"]) for point in points
    ]
    draw_histograms(axes, histograms, METHOD_STYLES)
    axes.set_xlabel("Membrane potential (resting threshold: 0.01)")


def _of_activity(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point with the number of samples in its histogram."""
    return {**point, "n_samples": min(100, point["n_test_samples"])}
