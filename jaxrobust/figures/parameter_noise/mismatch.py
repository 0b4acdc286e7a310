"""Accuracy under mismatch as a table: mean, standard deviation and minimum at each level."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrobust.figures.captions import describe
from jaxrobust.figures.parameter_noise.differences import accuracies_of_networks, is_ahead
from jaxrobust.figures.series import Points, series
from jaxrobust.figures.tables import Table

EXPLANATION = (
    "Test accuracy in %, mean (standard deviation) [minimum] over networks and devices; bold where the best "
    "mean is ahead of all others by more than the standard error of their difference on common device draws. "
    "With one network per method that error knows devices, not networks."
)


class Summary(NamedTuple):
    """Accuracy of a method at one level, in percent."""

    mean: float
    std: float
    minimum: float
    n: int


Summaries = Mapping[str, Mapping[float, Summary]]


def accuracies_by(points: Points, line: str = "method") -> dict[str, dict[float, list[float]]]:
    """Collect all accuracies by method (or the key ``line``) and level, over networks and devices.

    Raises:
        InputError: A setting other than the seed varies within a line.
    """
    return series(points, x="level", y=lambda point: point["accuracies"], line=line)


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
    """Return one row per level, one column per method: ``mean (std) [min]`` in percent, a clear best bold."""
    summaries = summarize(accuracies_by(points, line))
    networks, rows = accuracies_of_networks(points, line), []
    for level in _levels(summaries):
        best = max(summaries, key=lambda label: summaries[label][level].mean)
        rivals = [networks[label][level] for label in summaries if label != best]
        leads = bool(rivals) and all(is_ahead(networks[best][level], rival) for rival in rivals)
        cells = [f"{level:g}"]
        for label, of_levels in summaries.items():
            mean, std, minimum, _ = of_levels[level]
            number = f"**{mean:.2f}**" if label == best and leads else f"{mean:.2f}"
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
