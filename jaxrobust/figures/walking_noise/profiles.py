"""Global curves and walking profiles of networks trained without noise."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.kinds.profiles import draw_profile
from jaxrobust.figures.style import LineStyle, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.figures.walking_noise.points import (
    CHANCE,
    EVERYWHERE,
    Points,
    describe,
    intervals_over,
    lines_over_levels,
    midpoint_record,
    midpoints_of,
    name_of,
    overflow_note,
)

STYLES = {"additive": LineStyle("#1f77b4", 1.5), "multiplicative": LineStyle("#d95f02", 1.5)}
# Midpoints of additive noise, published (recovered from the tables of the published code): networks trained
# without noise, position by position and everywhere.
PUBLISHED = {
    ("MLP", "mnist"): ((0.504, 3.121, 2.328, 6.877, 5.627, 18.05, 16.87, 36.74), 0.471),
    ("MLP, batch normalization", "mnist"): ((), 0.350),
    ("LeNet-5", "mnist"): (
        (0.923, 1.923, 1.665, 2.010, 3.865, 2.968, 5.016, 14.96, 10.28, 23.19, 19.23, 28.65),
        0.607,
    ),
    ("LeNet-5, batch normalization", "mnist"): (
        (
            *(0.534, 0.446, 1.560, 1.134, 1.516, 1.890, 1.487, 1.072),
            *(1.804, 4.040, 2.616, 1.674, 3.998, 7.104, 5.647, 15.61),
        ),
        0.238,
    ),
    ("MLP", "cifar10"): ((), 1.634),
    ("MLP, batch normalization", "cifar10"): (
        (3.384, 34.89, 0.846, 0.686, 1.183, 1.168, 0.896, 1.512, 2.031, 1.391, 2.945),
        0.333,
    ),
    ("LeNet-5", "cifar10"): (
        (0.458, 0.575, 0.441, 0.612, 1.374, 0.646, 1.604, 6.130, 4.270, 7.904, 4.573, 4.281),
        0.250,
    ),
    ("LeNet-5, batch normalization", "cifar10"): (
        (
            *(0.499, 0.843, 0.612, 0.541, 0.591, 1.461, 0.599, 0.387),
            *(1.074, 4.577, 1.138, 0.835, 2.303, 2.280, 1.599, 4.402),
        ),
        0.197,
    ),
}


def draw_profiles(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy over noise everywhere above midpoints per position, one column per network.

    Args:
        points: Points with sweeps of ``additive`` and ``multiplicative`` noise and their ``accuracies``.
        folder: Where the files go.
        name: Their name.
    """
    panels: dict[str, list[Any]] = {}
    for point in points:
        panels.setdefault(name_of(point["network"]), []).append(point)
    midpoints = {
        title: {kind: midpoints_of(its, kind, CHANCE) for kind in STYLES} for title, its in panels.items()
    }
    dataset = points[0]["dataset"]

    def curves(axes: Axes, title: str) -> None:
        its = panels[title]
        lines = {kind: lines_over_levels(its, kind, EVERYWHERE) for kind in STYLES}
        draw_curves(axes, lines, STYLES)
        for kind, style in STYLES.items():
            middle = midpoints[title][kind][EVERYWHERE]
            if middle.censored == "no":
                axes.axvline(middle.value, color=style.colour, linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_xlabel("noise level σ, at all positions")
        accuracy_axis(axes)

    def profile(axes: Axes, title: str) -> None:
        lines = {
            kind: {place: m for place, m in its.items() if place != EVERYWHERE}
            for kind, its in midpoints[title].items()
        }
        published, _ = PUBLISHED.get((title, dataset), ((), None))
        draw_profile(axes, lines, STYLES, {"additive, published": published} if published else None)
        axes.set_xlabel("position of the noise")

    rows = [Row(curves, "Test accuracy"), Row(profile, "Midpoint noise level µ")]
    numbers = Numbers(
        [_table(title, its, dataset) for title, its in midpoints.items()],
        _records(midpoints),
        "Noise level at which test accuracy is half-way between that without noise and chance, with 95 % "
        f"intervals over {intervals_over(points)}. {describe(points)}",
    )
    caption = (
        f"Noise on the activations of networks trained without noise. {describe(points)} Bands: smallest to "
        f"largest accuracy over networks and draws. Dotted: midpoints. Bars: 95 % intervals over "
        f"{intervals_over(points)}. Arrows: accuracy does not fall half-way within the levels measured."
        f"{overflow_note(points)}"
    )
    composition = Composition(
        {title: title for title in panels}, rows, width=4.2, height=5.5, legend=Legend(n_columns=4)
    )
    return composition.write(folder, name, caption, numbers)


def _table(title: str, midpoints: dict[str, dict[str, Any]], dataset: str) -> Table:
    published, everywhere = PUBLISHED.get((title, dataset), ((), None))
    rows = []
    for i, place in enumerate(midpoints["additive"]):
        theirs = everywhere if place == EVERYWHERE else published[i] if i < len(published) else None
        rows.append(
            [
                "everywhere" if place == EVERYWHERE else place,
                str(midpoints["additive"][place]),
                "–" if theirs is None else f"{theirs:g}",
                str(midpoints["multiplicative"][place]),
            ]
        )
    return Table(title, ["position", "additive µ", "published", "multiplicative µ"], rows)


def _records(midpoints: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"network": title, "noise": kind, "position": place, **midpoint_record(m)}
        for title, kinds in midpoints.items()
        for kind, its in kinds.items()
        for place, m in its.items()
    ]
