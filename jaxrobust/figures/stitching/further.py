"""Figures and tables of the variants: other tasks, transferred attacks, mismatch, and accuracy over rank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.series import Points
from jaxrobust.figures.stitching.profiles import ABOUT, Measures, kind_of
from jaxrobust.figures.style import LineStyle, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table

LINES = {
    "trained at this rank": LineStyle("#000000", 1.6),
    "full rank, truncated": LineStyle("#e7298a", 1.6, dashed=True),
}


def other_task_numbers(points: Points) -> Numbers:
    """Return a table of stitches on the task of their end, from ``other`` of the points."""
    stitches = [point for point in points if "other" in point]
    rows = [
        [
            *_named(point),
            point["other_task"],
            _percent(point["other"]["clean"]),
            _percent(point["other"]["all"]),
        ]
        for point in stitches
    ]
    header = ["pair", "cut after", "stitch", "task", "clean", "robust"]
    records = [
        {**_record(point), "task": point["other_task"], **_measured(point["other"], ("clean", "all"))}
        for point in stitches
    ]
    explanation = "On the other task: accuracy in % of the same stitches on the data of their end."
    return Numbers([Table("On the task of the end", header, rows)], records, explanation)


def transfer_numbers(points: Points) -> Numbers:
    """Return a table of accuracies on attacked inputs by their source, from ``transfer`` of the points."""
    names = ("front", "end", "stitch")
    stitches = [point for point in points if "transfer" in point]
    rows = [
        [*_named(point), *(_percent(point["transfer"][source]["stitch"]) for source in names)]
        for point in stitches
    ]
    header = ["pair", "cut after", "stitch", *(f"attacked: {name}" for name in names)]
    records = [
        {**_record(point), "source": source, "target": target, "accuracy": accuracy}
        for point in stitches
        for source, targets in point["transfer"].items()
        for target, accuracy in targets.items()
    ]
    explanation = "Transfer: accuracy in % of the stitch on inputs attacked at front, end, and stitch."
    return Numbers([Table("Transferred attacks", header, rows)], records, explanation)


def mismatch_measures(points: Points) -> Measures:
    """Return one row of a figure per level of mismatch, from ``mismatch`` of the points."""
    levels = sorted(_first(points, "mismatch")["mismatch"])

    def at(level: float):
        return lambda point: point["mismatch"][level]

    return {"Accuracy" if not level else f"Accuracy at ζ = {level:g}": at(level) for level in levels}


def mismatch_numbers(points: Points) -> Numbers:
    """Return a table of mean accuracies by level of mismatch, of donors and stitches."""
    levels = sorted(_first(points, "mismatch")["mismatch"])
    rows = [
        [*_named(point), *(_percent(float(np.mean(point["mismatch"][level]))) for level in levels)]
        for point in points
    ]
    header = ["network", "cut after", "stitch", *(f"ζ = {level:g}" for level in levels)]
    records = [
        {**_record(point), "level": level, "accuracy": accuracy}
        for point in points
        for level in levels
        for accuracy in point["mismatch"][level]
    ]
    explanation = (
        "Under mismatch: mean accuracy in % of devices whose parameters, those of the stitch too, deviate."
    )
    return Numbers([Table("Under mismatch", header, rows)], records, explanation)


def draw_ranks(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw clean and robust accuracy over the rank of the layer, one column per pair and cut.

    Args:
        points: Evaluated stitches with ``rank`` (0: full) and ``accuracy``, full ones with ``truncated``.
        folder: Where to.
        name: Of the files.

    Raises:
        InputError: No point has been truncated.
    """
    full = _first(points, "truncated")
    records = [record for point in points if "rank" in point for record in _over_rank(point)]
    panels: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        panels.setdefault(f"{record['pair'].replace('→', ' → ')}, {record['front_cut']}", []).append(record)

    def draw(measure: str):
        def on(axes: Axes, content: list[dict[str, Any]]) -> None:
            lines: dict[str, dict[float, list[float]]] = {}
            for record in content:
                lines.setdefault(record["how"], {}).setdefault(record["rank"], []).append(record[measure])
            draw_curves(axes, lines, LINES, categorical=True)
            accuracy_axis(axes)
            axes.set_xlabel("Rank")

        return on

    rows = [Row(draw("clean"), "Clean accuracy"), Row(draw("robust"), "Accuracy under attack")]
    header = ["pair", "cut after", "rank", "how", "clean", "robust"]
    cells = [
        [r["pair"], r["front_cut"], str(r["rank"]), r["how"], _percent(r["clean"]), _percent(r["robust"])]
        for r in records
    ]
    explanation = "Test accuracy in % of stitches by the rank of the layer, clean and under attack."
    numbers = Numbers([Table("Accuracy over rank", header, cells)], records, explanation)
    caption = f"{full['data_source']}. Front → end; N: {ABOUT['N']}; R: {ABOUT['R']}."
    composition = Composition(panels, rows, width=2.6, height=4.6, legend=Legend(n_columns=2))
    return composition.write(folder, name, caption, numbers)


def _over_rank(point: Mapping[str, Any]) -> list[dict[str, Any]]:
    base = {name: value for name, value in _record(point).items() if name != "stitch"}
    trained, truncated = LINES
    if point["rank"]:
        accuracy = point["accuracy"]
        values = {"clean": accuracy["clean"], "robust": accuracy["all"]}
        return [{**base, "how": trained, "rank": point["rank"], **values}]
    rows = [{**base, "how": truncated, **row} for row in point["truncated"]]
    full = {"clean": point["accuracy"]["clean"], "robust": point["accuracy"]["all"]}
    channels = min(point["kernel"]["shape"])
    return [*rows, {**base, "how": truncated, "rank": channels, **full}]


def _first(points: Points, key: str) -> Mapping[str, Any]:
    for point in points:
        if key in point:
            return point
    raise InputError(f"No point has {key!r}; evaluate the points before drawing them.")


def _named(point: Mapping[str, Any]) -> list[str]:
    return [str(cell) for cell in list(_record(point).values())[:3]]


def _record(point: Mapping[str, Any]) -> dict[str, Any]:
    if "cut" not in point:
        return {"pair": point["donor"], "front_cut": "–", "stitch": "–", "repeat": point["repeat"]}
    return {
        "pair": point["pair"],
        "front_cut": point["cut"].front,
        "stitch": kind_of(point),
        "repeat": point["repeat"],
    }


def _measured(accuracy: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    return {name: accuracy[name] for name in names}


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
