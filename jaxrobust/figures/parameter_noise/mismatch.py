"""Accuracy under mismatch as a table: mean, standard deviation and minimum at each level."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrobust.figures.captions import describe
from jaxrobust.figures.series import Points
from jaxrobust.figures.tables import Table

EXPLANATION = "Test accuracy in %, mean (standard deviation) [minimum] over networks and devices."


class Summary(NamedTuple):
    """Accuracy of a method at one level, in percent."""

    mean: float
    std: float
    minimum: float
    n: int


Summaries = Mapping[str, Mapping[float, Summary]]


def accuracies_by(points: Points, line: str = "method") -> dict[str, dict[float, list[float]]]:
    """Collect all accuracies by method (or the key ``line``) and level, over networks and devices."""
    result: dict[str, dict[float, list[float]]] = {}
    for point in points:
        result.setdefault(point[line], {}).setdefault(point["level"], []).extend(point["accuracies"])
    return result


def summarize(accuracies: Mapping[str, Mapping[float, Sequence[float]]]) -> dict[str, dict[float, Summary]]:
    """Summarize accuracies (fractions) by method and level."""

    def one(values: Sequence[float]) -> Summary:
        percent = 100 * np.asarray(values)
        return Summary(float(percent.mean()), float(percent.std()), float(percent.min()), len(values))

    return {
        method: {level: one(values) for level, values in levels.items()}
        for method, levels in accuracies.items()
    }


def mismatch_table(title: str, points: Points, line: str = "method") -> Table:
    """Return one row per level and one column per method, ``mean (std) [min]`` in percent, best mean bold."""
    summaries = summarize(accuracies_by(points, line))
    rows = []
    for level in _levels(summaries):
        best = max(rows[level].mean for rows in summaries.values())
        cells = [f"{level:g}"]
        for mean, std, minimum, _ in (rows[level] for rows in summaries.values()):
            number = f"**{mean:.2f}**" if mean == best else f"{mean:.2f}"
            cells.append(f"{number} ({std:.2f}) [{minimum:.2f}]")
        rows.append(cells)
    return Table(title, ["ζ", *summaries], rows, describe(points))


def mismatch_records(title: str, points: Points, line: str = "method") -> list[dict[str, Any]]:
    """Return the same numbers, one record per level and method."""
    summaries = summarize(accuracies_by(points, line))
    return [
        {
            "panel": title,
            "level": level,
            "method": method,
            "mean_percent": f"{rows[level].mean:.4f}",
            "std_percent": f"{rows[level].std:.4f}",
            "min_percent": f"{rows[level].minimum:.4f}",
            "n": rows[level].n,
        }
        for level in _levels(summaries)
        for method, rows in summaries.items()
    ]


def _levels(summaries: Summaries) -> list[float]:
    return sorted({level for rows in summaries.values() for level in rows})
