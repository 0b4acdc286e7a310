"""The published tables 2, 3, 7 and 8: our numbers beside those of Li et al. 2019 and of others."""

import numpy as np

from jaxrobust.figures.lipschitz.comparison import (
    HEADINGS,
    Points,
    mean_and_deviation,
    values_of,
)
from jaxrobust.figures.lipschitz.published import (
    DECISIONS,
    OTHERS,
    PUBLISHED,
    SMALL,
    SMALL_RADII,
    Published,
)
from jaxrobust.figures.lipschitz.table_files import MISSING, NOT_RUN
from jaxrobust.figures.tables import Table

# Table 7: what constraining the kernels is worth.
ABLATION = ("BCOP-Fixed", "RK-L2NE", "BCOP")
MEASURES = Published._fields


def published_tables(points: Points) -> list[Table]:
    """Return tables 2 and 3 (against others), 7 and 8 for each data set that they have.

    Our rows say ``not run`` where there are no points; published rows always stand below.
    """
    tables = []
    for dataset in dict.fromkeys(point["dataset"] for point in points):
        own = [point for point in points if point["dataset"] == dataset and not point["mismatch"]]
        tables += [
            table for make in (_others, _decisions, _ablation, _small) if (table := make(own, dataset)).rows
        ]
    return tables


def _name(layout: str, method: str) -> str:
    return "FC" if method == "FC" else f"{method}-{layout.capitalize()}"


def _alike(points: Points, layout: str, method: str) -> Points:
    return [p for p in points if (p["layout"], p["parameterization"]) == (layout, method)]


def _rows_of(points: Points, dataset: str, layout: str, method: str) -> list[list[str]]:
    """Our row and the published one; none where nothing was published."""
    if (published := PUBLISHED.get((dataset, layout, method))) is None:
        return []
    alike, name = _alike(points, layout, method), _name(layout, method)
    ours = [mean_and_deviation(values_of(alike, column)) if alike else NOT_RUN for column in MEASURES]
    return [[name, "ours", *ours], [name, "published", *(f"{value:.2f}" for value in published)]]


def _others(points: Points, dataset: str) -> Table:
    cells = (("large", "BCOP"), ("small", "BCOP"), ("fc", "FC"))
    rows = [row for layout, method in cells for row in _rows_of(points, dataset, layout, method)]
    rows += [
        [q.name, q.source, *(MISSING if x is None else f"{x:.2f}" for x in q[2:])]
        for q in OTHERS.get(dataset, ())
    ]
    header = ["Network", "Source", *(HEADINGS[column] for column in MEASURES)]
    note = "Numbers of others are quoted; attacks on their networks are those of Li et al."
    return Table(f"Tables 2 and 3, {dataset}: beside other certified networks", header, rows, note)


def _decisions(points: Points, dataset: str) -> Table:
    """Attacks that see the answer alone; ours is the Square attack, in the comparison's table."""
    rows = []
    for name, found in DECISIONS.get(dataset, {}).items():
        if name.startswith("BCOP"):
            rows.append([name, "ours", *[NOT_RUN] * len(found)])
        rows.append([name, "published", *(f"{value:.1f}" for value in found)])
    note = "The first 100 test images, attacked by foolbox; our black-box attack is Square, in table 1."
    header = ["Network", "Source", "Clean", "Boundary", "Pointwise"]
    return Table(f"Table 3, {dataset}: attacks on 100 images that see the answer alone", header, rows, note)


def _ablation(points: Points, dataset: str) -> Table:
    rows = [
        row
        for layout in ("small", "large")
        for method in ABLATION
        for row in _rows_of(points, dataset, layout, method)
    ]
    header = ["Network", "Source", *(HEADINGS[column] for column in MEASURES)]
    note = "BCOP-Fixed keeps the kernels it starts with; RK-L2NE bounds the rows of the reshaped kernel."
    return Table(f"Table 7, {dataset}: what the kernels are worth", header, rows, note)


def _small(points: Points, dataset: str) -> Table:
    rows = []
    for layout, method in (("large", "BCOP"), ("fc", "FC")):
        if (published := SMALL.get((dataset, layout, method))) is None:
            continue
        found = [
            p["small"]["certified"] for p in _alike(points, layout, method) if p.get("small") is not None
        ]
        ours = mean_and_deviation(found) if found else NOT_RUN
        rows.append([_name(layout, method), ours, f"{published:.2f}"])
    title = f"Table 8, {dataset}: certified at the small radius {SMALL_RADII.get(dataset, np.nan):g}"
    return Table(title, ["Network", "Ours", "Published"], rows)
