"""One panel: an accuracy over one setting, with its table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import LineStyle, draw_curves, series
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]


def draw_accuracy(
    points: Points,
    folder: Path,
    name: str,
    *,
    x: str,
    y: Callable[[Mapping[str, Any]], float | Sequence[float]],
    x_label: str,
    styles: Mapping[str, LineStyle],
    note: str,
    line: str = "method",
    legend_title: str | None = None,
) -> list[Path]:
    """Draw an accuracy over the values of one key, and write its table.

    Args:
        points: Evaluated grid points.
        folder: Where the files go.
        name: Their name without ending.
        x: The key of the horizontal axis.
        y: One accuracy of a point, or several.
        x_label: Name of the horizontal axis.
        styles: Of the lines.
        note: What was measured, for the caption.
        line: The key whose values name the lines.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    figure, (axes,) = new_figure(1, 1, width=5.4, height=3.8)
    lines = series(points, x=x, y=y, line=line)
    draw_curves(axes, lines, styles, categorical=True)
    axes.set_xlabel(x_label)
    axes.set_ylabel("Test accuracy")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(title=legend_title, fontsize=8, title_fontsize=8, frameon=False)
    caption = f"{note} Lines: mean, bands: smallest to largest.\n{describe(points)}"
    table = line_table("", x_label, lines, percent=True, note=describe(points))
    return save_figure(figure, folder, name, caption) + write_tables(
        folder,
        name,
        [table],
        explanation="Test accuracy in %: mean [smallest, largest].",
        records=line_records("", "accuracy", lines),
    )
