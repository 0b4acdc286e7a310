"""One figure and its tables out of grids of mismatch accuracies: standard against robust, panel by panel."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.plotting.captions import describe
from jaxrobust.plotting.mismatch import as_csv, as_markdown, summarise
from jaxrobust.plotting.style import METHOD_COLOURS, new_figure, save_figure
from jaxrobust.plotting.violins import split_violins

Points = Sequence[Mapping[str, Any]]


def compare_under_mismatch(
    panels: Mapping[str, Points], folder: Path, name: str, *, left: str, right: str
) -> list[Path]:
    """Draw split violins of two methods in every panel, and write the table of all methods.

    Args:
        panels: Titles, each with its evaluated grid points: ``method``, ``level``, ``accuracies`` and where
            the data came from.
        folder: Where the files go.
        name: Their name without ending.
        left: The method drawn on the left.
        right: The method drawn on the right.

    Returns:
        The files written, the picture first.
    """
    panels = {title: points for title, points in panels.items() if points}
    figure, axes = new_figure(1, len(panels), width=5.4 * len(panels), height=3.6)
    captions, tables, rows = [], [], []
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        accuracies = accuracies_by_method(points)
        split_violins(
            ax,
            {level: values for level, values in accuracies[left].items() if level > 0},
            {level: values for level, values in accuracies[right].items() if level > 0},
            colours=(METHOD_COLOURS[left], METHOD_COLOURS[right]),
            labels=(left, right),
        )
        ax.set_title(title, loc="left")
        caption = f"{title.strip()}: {describe(points)}"
        captions.append(caption)
        summaries = summarise(accuracies)
        tables.append(f"### {title}\n\n{as_markdown(summaries)}\n{describe(points)}\n")
        rows.append(as_csv(summaries))
    explanation = "Test accuracy in %, mean (standard deviation) [minimum] over networks and devices."
    files = save_figure(figure, folder, name, "\n".join(captions))
    files.append(_write(folder / f"{name}.md", explanation + "\n\n" + "\n".join(tables)))
    for title, text in zip(panels, rows, strict=True):
        letter = title.split()[0]
        files.append(_write(folder / f"{name}_{letter}.csv", text))
    return files


def accuracies_by_method(points: Points) -> dict[str, dict[float, list[float]]]:
    """All accuracies of a method at a level, networks and devices together."""
    result: dict[str, dict[float, list[float]]] = {}
    for point in points:
        result.setdefault(point["method"], {}).setdefault(point["level"], []).extend(point["accuracies"])
    return result


def _write(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    temporary.write_text(text)
    os.replace(temporary, path)
    return path
