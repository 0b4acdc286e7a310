"""Networks trained with noise at one place, against one trained without."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.style import LineStyle, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.figures.walking_noise.points import EVERYWHERE, Points, describe
from jaxrobust.measures.midpoint import Midpoint, fit_midpoint

TRAINED, PLAIN = "noise in training and evaluation", "noise in evaluation only"
STYLES = {TRAINED: LineStyle("#1b7837", 1.5), PLAIN: LineStyle("#762a83", 1.5, dashed=True)}
Line = dict[float, list[float]]


def draw_trained_with_noise(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy over noise, one panel per place, and list midpoints and weights.

    Args:
        points: Points with ``place``, ``level`` and ``accuracies``; with the level ``"sweep"`` for the
            network trained without noise.
        folder: Where the files go.
        name: Their name.
    """
    lines = lines_of(points)
    places = {("everywhere" if place == EVERYWHERE else place): its for place, its in lines.items()}

    def draw(axes: Axes, its: dict[str, Line]) -> None:
        draw_curves(axes, its, STYLES)
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())  # their labels overlap within a decade
        axes.set_xlabel("noise level σ")
        accuracy_axis(axes)

    trained = [point for point in points if point["level"] != "sweep"]
    caption = (
        f"Additive noise at one place, in training too or in evaluation only. {describe(trained)} Every "
        f"marker of the full line is another network."
    )
    numbers = Numbers([_accuracies(places), _weights(trained)], _records(places), caption)
    composition = Composition(places, [Row(draw, "Test accuracy")], width=1.9, height=2.8, legend=Legend())
    return composition.write(folder, name, caption, numbers)


def lines_of(points: Points) -> dict[str, dict[str, Line]]:
    """Accuracies by place, then with or without noise in training, then by level."""
    lines: dict[str, dict[str, Line]] = {}
    for point in points:
        if point["place"] == "none":
            continue
        its = lines.setdefault(point["place"], {TRAINED: {}, PLAIN: {}})
        accuracies = np.array(point["accuracies"])
        if point["level"] == "sweep":
            its[PLAIN] = {level: accuracies[:, i].tolist() for i, level in enumerate(point["sweep"].levels)}
        else:
            its[TRAINED][point["level"]] = accuracies[:, 0].tolist()
    return lines


def trained_midpoint(line: Line, clean: float, chance: float = 0.1) -> Midpoint | None:
    """The midpoint of networks trained at five levels or more; None for fewer."""
    if len(line) < 5:
        return None
    levels = sorted(line)
    means = np.array([np.mean(line[level]) for level in levels])
    return fit_midpoint(np.array(levels), means, clean=clean, chance=chance, asymptotes="fixed")


def _accuracies(places: dict[str, dict[str, Line]]) -> Table:
    rows = [
        [place, f"{level:g}", f"{100 * np.mean(values):.1f}", f"{100 * np.mean(its[PLAIN][level]):.1f}"]
        for place, its in places.items()
        for level, values in sorted(its[TRAINED].items())
    ]
    return Table("Test accuracy in %", ["place", "σ", TRAINED, PLAIN], rows)


def _weights(points: Points) -> Table:
    names = list(points[0]["statistics"]["weights"])
    rows = [
        [point["place"], f"{point['level']:g}", *(f"{point['statistics']['weights'][n]:.3f}" for n in names)]
        for point in points
    ]
    return Table("Mean absolute weight", ["place", "σ", *names], rows)


def _records(places: dict[str, dict[str, Line]]) -> list[dict[str, Any]]:
    return [
        {"place": place, "line": label, "level": level, "accuracy": float(np.mean(values))}
        for place, its in places.items()
        for label, line in its.items()
        for level, values in sorted(line.items())
    ]
