"""The published tables 2 to 4, 7 and 8: our numbers beside those of Li et al. 2019 and of others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.lipschitz.comparison import COLORS, HEADINGS, Points, mean_and_deviation, values_of
from jaxrobust.figures.lipschitz.published import (
    OTHERS,
    PUBLISHED,
    SMALL,
    SMALL_RADII,
    WASSERSTEIN,
    Published,
)
from jaxrobust.figures.style import LineStyle
from jaxrobust.figures.tables import Numbers, Table

# Table 7: what constraining the kernels is worth.
ABLATION = ("BCOP-Fixed", "RK-L2NE", "BCOP")
CRITICS = ("OSSN", "RKO", "BCOP")
MEASURES = Published._fields
ACTIVATIONS = {"maxmin": "MaxMin", "relu": "ReLU"}


def published_tables(points: Points) -> list[Table]:
    """Return tables 2 and 3 (against others), 7 and 8 for each data set that they have, as far as it goes."""
    tables = []
    for dataset in dict.fromkeys(point["dataset"] for point in points):
        own = [point for point in points if point["dataset"] == dataset and not point["mismatch"]]
        tables += [table for make in (_others, _ablation, _small) if (table := make(own, dataset)).rows]
    return tables


def wasserstein_table(points: Points) -> Table:
    """Return table 4: estimates by pair of distributions and activation, the published ones below."""
    rows = []
    for pair, activation in dict.fromkeys((repr(p["pair"]), p["activation"]) for p in points):
        alike = [p for p in points if (repr(p["pair"]), p["activation"]) == (pair, activation)]
        cells = [
            mean_and_deviation([p["distance"] for p in alike if p["parameterization"] == method], 1.0)
            for method in CRITICS
        ]
        rows.append([_pair_name(alike[0]), ACTIVATIONS[activation], *cells, f"{alike[0]['pair'].distance:g}"])
    for (images, activation), found in WASSERSTEIN.items():
        cells = [f"{mean:.2f}±{deviation:.2f}" for mean, deviation in (found[m] for m in CRITICS)]
        rows.append([f"{images}, published", ACTIVATIONS[activation], *cells, "–"])
    note = (
        "Larger is better: each is a lower bound of the distance. Ours is divided by the measured constant "
        "and taken on samples that the critic was not trained on. Published: images of a generator and real "
        "ones, on samples of the training; CIFAR-10 in units of images enlarged to 64x64, twice its own."
    )
    return Table("Wasserstein distances", ["Distributions", "Activation", *CRITICS, "True"], rows, note)


def draw_critics(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the estimates of critics while they are trained, one panel per pair, and write table 4."""
    panels: dict[str, list[Any]] = {}
    for point in points:
        panels.setdefault(_pair_name(point), []).append(point)
    styles = {
        f"{method}, {ACTIVATIONS[activation]}": LineStyle(COLORS[method], 1.2, dashed=activation == "relu")
        for method in CRITICS
        for activation in ACTIVATIONS
    }

    def draw(axes: Axes, alike: Sequence[Any]) -> None:
        lines: dict[str, dict[float, list[float]]] = {}
        for point in alike:
            label = f"{point['parameterization']}, {ACTIVATIONS[point['activation']]}"
            stride = point["n_steps"] / len(point["estimates"])
            for place, value in enumerate(point["estimates"]):
                lines.setdefault(label, {}).setdefault(place * stride, []).append(value)
        draw_curves(axes, lines, styles)
        axes.axhline(alike[0]["pair"].distance, color="0.7", linewidth=0.8, zorder=0)
        axes.set_xlabel("Training step")

    keys = (
        "parameterization",
        "activation",
        "learning_rate",
        "seed",
        "distance",
        "standard_error",
        "constant",
    )
    records = [{"pair": _pair_name(p), **{key: p[key] for key in keys}} for p in points]
    numbers = Numbers([wasserstein_table(points)], records, "Wasserstein-1 distances estimated by critics.")
    caption = "Estimates on the batches of the training, not divided by the constant; gray: the distance."
    figure = Composition(panels, [Row(draw, "Estimate")], 3.2, 2.8, legend=Legend(n_columns=3))
    return figure.write(folder, name, caption, numbers)


def _pair_name(point: Any) -> str:
    words = {"ShiftedGaussians": "Shifted Gaussians", "PointAndSphere": "Point and sphere"}
    kind = type(point["pair"]).__name__
    return words.get(kind, kind)


def _rows_of(points: Points, dataset: str, layout: str, method: str) -> list[list[str]]:
    """Our row, if there are points, and the published one, if there is one."""
    alike = [p for p in points if (p["layout"], p["parameterization"]) == (layout, method)]
    name = "FC" if method == "FC" else f"{method}-{layout.capitalize()}"
    rows = []
    if alike:
        rows.append([name, "ours", *(mean_and_deviation(values_of(alike, column)) for column in MEASURES)])
    if published := PUBLISHED.get((dataset, layout, method)):
        rows.append([name, "published", *(f"{value:.2f}" for value in published)])
    return rows if alike else []


def _others(points: Points, dataset: str) -> Table:
    rows = [
        row
        for layout, method in (("large", "BCOP"), ("small", "BCOP"), ("fc", "FC"))
        for row in _rows_of(points, dataset, layout, method)
    ]
    if rows:
        rows += [
            [q.name, q.source, *("–" if x is None else f"{x:.2f}" for x in q[2:])]
            for q in OTHERS.get(dataset, ())
        ]
    header = ["Network", "Source", *(HEADINGS[column] for column in MEASURES)]
    note = "Numbers of others are quoted; attacks on their networks are those of Li et al."
    return Table(
        f"{dataset}: beside other certified networks", header, rows if dataset in OTHERS else [], note
    )


def _ablation(points: Points, dataset: str) -> Table:
    layouts = dict.fromkeys(point["layout"] for point in points)
    rows = [
        row for layout in layouts for method in ABLATION for row in _rows_of(points, dataset, layout, method)
    ]
    kinds = {row[0] for row in rows if row[1] == "ours"}
    header = ["Network", "Source", *(HEADINGS[column] for column in MEASURES)]
    note = "BCOP-Fixed keeps the kernels it starts with; RK-L2NE bounds the rows of the reshaped kernel."
    return Table(f"{dataset}: what the kernels are worth", header, rows if len(kinds) > 1 else [], note)


def _small(points: Points, dataset: str) -> Table:
    rows = []
    for layout, method in (("large", "BCOP"), ("fc", "FC")):
        alike = [
            p
            for p in points
            if (p["layout"], p["parameterization"]) == (layout, method) and p.get("small") is not None
        ]
        if alike:
            values = mean_and_deviation([p["small"]["certified"] for p in alike])
            name = "FC" if method == "FC" else f"{method}-{layout.capitalize()}"
            rows.append([name, values, f"{SMALL[dataset, layout, method]:.2f}"])
    radius = SMALL_RADII.get(dataset, np.nan)
    return Table(
        f"{dataset}: certified at the small radius {radius:g}", ["Network", "Ours", "Published"], rows
    )
