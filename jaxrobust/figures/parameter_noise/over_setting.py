"""One panel: an accuracy over one setting, with its table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.pooling import spread_of
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.style import LineStyle, accuracy_axis


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
        y: Returns one accuracy of a point, or several.
        x_label: Name of the horizontal axis.
        styles: Styles by label.
        note: What was measured, for the caption.
        line: The key whose values label the lines.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    lines = series(points, x=x, y=y, line=line)

    def draw(axes: Axes, lines: Series) -> None:
        draw_curves(axes, lines, styles, categorical=True)
        axes.set_xlabel(x_label)
        accuracy_axis(axes)
        mark_chance(axes, points)
        axes.legend(title=legend_title, fontsize=8, title_fontsize=8, frameon=False)

    figure = Composition({"": lines}, [Row(draw, "Test accuracy")], width=5.4, height=3.8)
    spread = spread_of((values for by_x in lines.values() for values in by_x.values()), "values")
    caption = f"{note} {spread.capitalize()}.\n{describe(points)}"
    numbers = line_numbers(
        "Test accuracy in %: mean [smallest, largest].",
        [LineTable("", x_label, "accuracy", lines, note=describe(points))],
    )
    return figure.write(folder, name, caption, numbers)
