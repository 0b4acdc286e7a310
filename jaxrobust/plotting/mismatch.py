"""Accuracy under mismatch as a table: mean, standard deviation and minimum at each level."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Summary(NamedTuple):
    """Accuracy of a method at one level, in percent."""

    mean: float
    std: float
    minimum: float
    n: int


Summaries = Mapping[str, Mapping[float, Summary]]


def summarise(accuracies: Mapping[str, Mapping[float, Sequence[float]]]) -> dict[str, dict[float, Summary]]:
    """Summarise accuracies (fractions) by method and level."""

    def one(values: Sequence[float]) -> Summary:
        percent = 100 * np.asarray(values)
        return Summary(float(percent.mean()), float(percent.std()), float(percent.min()), len(values))

    return {
        method: {level: one(values) for level, values in levels.items()}
        for method, levels in accuracies.items()
    }


def as_markdown(summaries: Summaries) -> str:
    """A table with a row a level and a column a method, ``mean (std) [min]`` in percent, best mean bold."""
    methods = list(summaries)
    lines = ["| ζ | " + " | ".join(methods) + " |", "|" + "---|" * (len(methods) + 1)]
    for level in _levels(summaries):
        best = max(summaries[method][level].mean for method in methods)
        cells = []
        for method in methods:
            mean, std, minimum, _ = summaries[method][level]
            number = f"**{mean:.2f}**" if mean == best else f"{mean:.2f}"
            cells.append(f"{number} ({std:.2f}) [{minimum:.2f}]")
        lines.append(f"| {level:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_csv(summaries: Summaries) -> str:
    """The same numbers, a row for each level and method."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["level", "method", "mean_percent", "std_percent", "min_percent", "n"])
    for level in _levels(summaries):
        for method, rows in summaries.items():
            mean, std, minimum, n = rows[level]
            writer.writerow([level, method, f"{mean:.4f}", f"{std:.4f}", f"{minimum:.4f}", n])
    return text.getvalue()


def _levels(summaries: Summaries) -> list[float]:
    return sorted({level for rows in summaries.values() for level in rows})
