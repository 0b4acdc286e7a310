"""Tables and figure of the comparison: accuracy clean, certified and under attack, and over the radius."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.lipschitz.published import PUBLISHED, SMALL
from jaxrobust.figures.lipschitz.table_files import MISSING, NOT_RUN, write_table_files
from jaxrobust.figures.series import Series
from jaxrobust.figures.style import LineStyle
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.studies.lipschitz.robustness import CURVE

Points = Sequence[Mapping[str, Any]]

COLUMNS = ("clean", "certified", "pgd", "fgsm", "square")
# Column of the CSV: the accuracy of table 8.
AT_SMALL_RADIUS = "certified_at_small_radius"
HEADINGS = {"clean": "Clean", "certified": "Certified", "pgd": "PGD", "fgsm": "FGSM", "square": "Square"}
COLORS = {
    "BCOP": "#0072b2",
    "RKO": "#d55e00",
    "OSSN": "#009e73",
    "SVCM": "#cc79a7",
    "RK-L2NE": "#e69f00",
    "BCOP-Fixed": "#56b4e9",
    "Cayley": "#000000",
    "SOC": "#7f3c8d",
    "AOL": "#a5aa99",
    "SLL": "#80672b",
    "FC": "#666666",
}


def mean_and_deviation(values: Sequence[float], factor: float = 100.0) -> str:
    """Return ``mean±deviation`` over trials (population deviation), one trial alone, ``–`` for none.

    Example:
        >>> mean_and_deviation([0.5, 0.52]), mean_and_deviation([0.5]), mean_and_deviation([])
        ('51.00±1.00', '50.00', '–')
    """
    if not values:
        return MISSING
    mean = f"{factor * np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean}±{factor * np.std(values):.2f}"


def comparison_table(points: Points, dataset: str) -> Table:
    """Return table 1: for each layout and method our row (``not run`` without points) and the published one.

    Data sets of which nothing was published have our rows alone.
    """
    published = [(layout, method) for name, layout, method in PUBLISHED if name == dataset]
    rows = []
    for layout, method in dict.fromkeys(
        [*((p["layout"], p["parameterization"]) for p in points), *published]
    ):
        alike = [p for p in points if (p["layout"], p["parameterization"]) == (layout, method)]
        constant = f"{max(values_of(alike, 'constant'), default=np.nan):.5f}" if alike else NOT_RUN
        ours = [mean_and_deviation(values_of(alike, column)) if alike else NOT_RUN for column in COLUMNS]
        rows.append([layout, method, "ours", str(len(alike)), *ours, constant])
        if theirs := PUBLISHED.get((dataset, layout, method)):
            rows.append([layout, method, "published", "5", *(f"{x:.2f}" for x in theirs), MISSING, MISSING])
    header = ("Layout", "Method", "Source", "Trials", *(HEADINGS[c] for c in COLUMNS), "Largest constant")
    number = "Table 1, " if published else ""
    return Table(f"{number}{dataset} at radius {points[0]['radius']:.4g}", header, rows, _note(points))


def compare(points: Points, folder: Path, name: str, further: Sequence[Table] = ()) -> list[Path]:
    """Draw certified accuracy over the radius, one panel per data set and layout, and write the tables.

    Args:
        points: Evaluated points, with ``robustness``.
        folder: Where to.
        name: Of the files.
        further: Tables below the comparison's.

    Returns:
        The files written, the picture first, the CSV of single tables last.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        groups.setdefault(f"{point['dataset']}, {point['layout']}", []).append(point)
    styles = {method: LineStyle(color, 1.2) for method, color in COLORS.items()}

    def draw(axes: Axes, alike: Points) -> None:
        draw_curves(axes, _curves(alike), styles)
        axes.axvline(alike[0]["radius"], color="0.7", linewidth=0.8, zorder=0)
        axes.set_xlabel("L2 radius (pixels in [0, 1])")
        axes.set_ylim(0, 100)

    tables = [
        comparison_table([p for p in points if p["dataset"] == dataset], dataset)
        for dataset in dict.fromkeys(p["dataset"] for p in points)
    ]
    explanation = (
        "Percent of test samples: right (clean), certified at the radius, and right under PGD, FGSM and the "
        "Square attack at the radius; mean±standard deviation over trials. The constant is the largest "
        "measured Lipschitz constant, by which certificates divide. Published numbers are those of Li et al. "
        "2019, means of five trials. The CSV has ours and theirs as fractions, unrounded, by their source; "
        "each published table also has its own CSV, in percent."
    )
    records = [*map(_record, points), *_published_records({p["dataset"]: p["radius"] for p in points})]
    tables_of_all = [*tables, *further]
    numbers = Numbers(tables_of_all, records, explanation)
    figure = Composition(groups, [Row(draw, "Certified accuracy (%)")], 3.2, 2.8, legend=Legend())
    several = len({point["seed"] for point in points}) > 1
    bands = " Bands reach from the smallest to the largest trial." if several else ""
    caption = (
        f"Certified accuracy over the L2 radius; the gray line is the radius of the tables.{bands}\n"
        + "\n".join(table.note for table in tables)
    )
    return [
        *figure.write(folder, name, caption, numbers),
        *write_table_files(tables_of_all, folder, name),
    ]


def values_of(points: Points, column: str) -> list[float]:
    """Return one measure of the points, without those that lack it."""
    return [p["robustness"][column] for p in points if p["robustness"][column] is not None]


def _curves(points: Points) -> Series:
    lines: dict[str, dict[float, list[float]]] = {}
    for point in points:
        line = lines.setdefault(point["parameterization"], {})
        for x, accuracy in zip(CURVE, point["robustness"]["curve"], strict=True):
            line.setdefault(x * point["radius"], []).append(100 * accuracy)
    return lines


def _note(points: Points) -> str:
    first = points[0]
    schedule = first["schedule"]
    epochs = schedule.n_epochs
    shortened = "" if epochs == 200 else " (shortened from 200)"
    rate = f"learning rate {schedule.learning_rate:.3g}"
    rate = f"constant {rate}" if schedule.decay == 1 else f"{rate} times {schedule.decay:.3g} per epoch"
    seeds = sorted({point["seed"] for point in points})
    return (
        f"{first['data_source']}; {epochs:g} epochs{shortened}, {rate}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}; the "
        f"parameters of the best validation."
    )


def _record(point: Mapping[str, Any]) -> dict[str, Any]:
    keys = (*COLUMNS, "certified_by_last_layer", "certified_of_attacked", "constant", "mean_radius")
    settings = {name: point[name] for name in ("dataset", "layout", "parameterization", "seed", "radius")}
    numbers = {key: point["robustness"][key] for key in keys}
    numbers[AT_SMALL_RADIUS] = (point.get("small") or {}).get("certified")
    return {"source": "ours"} | settings | {"mismatch": point["mismatch"]} | numbers


def _published_records(radii: Mapping[str, float]) -> list[dict[str, Any]]:
    return [
        {"source": "published", "dataset": dataset, "layout": layout, "parameterization": method}
        | {"radius": radii[dataset], "mismatch": 0.0}
        | {name: value / 100 for name, value in found._asdict().items()}
        | _published_at_small_radius(dataset, layout, method)
        for (dataset, layout, method), found in PUBLISHED.items()
        if dataset in radii
    ]


def _published_at_small_radius(dataset: str, layout: str, method: str) -> dict[str, float]:
    found = SMALL.get((dataset, layout, method))
    return {} if found is None else {AT_SMALL_RADIUS: found / 100}
