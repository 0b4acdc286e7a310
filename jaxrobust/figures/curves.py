"""Lines with bands: a quantity over attack sizes, levels, weights or training steps, one line a method."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from jaxrobust.figures.style import METHOD_COLOURS

Points = Sequence[Mapping[str, Any]]
# For the label of each line: for each x all values, of networks, devices or directions.
Series = Mapping[str, Mapping[Any, Sequence[float]]]

# Points of a line that are marked one by one, so that a line of one point is seen.
MAX_MARKED = 30


@dataclass(frozen=True)
class LineStyle:
    """How a line looks."""

    colour: str
    width: float = 1.0
    dashed: bool = False


# As published: ours wide, the robust term alone dashed.
METHOD_STYLES = {
    method: LineStyle(colour, width=3.0 if method == "Forward noise + beta" else 1.0, dashed=method == "Beta")
    for method, colour in METHOD_COLOURS.items()
}


def shades(labels: Iterable[str]) -> dict[str, LineStyle]:
    """Styles for labels that are in an order, from dark to light."""
    labels = list(labels)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(len(labels), 2)))
    return {label: LineStyle(to_hex(colour), 1.5) for label, colour in zip(labels, colours, strict=False)}


def series(
    points: Points, *, x: str, y: Callable[[Mapping[str, Any]], float | Sequence[float]], line: str = "method"
) -> dict[str, dict[Any, list[float]]]:
    """Sort what was measured into lines.

    Args:
        points: Evaluated grid points.
        x: The key of the horizontal axis.
        y: One value of a point, or several.
        line: The key whose values name the lines; numbers are named in short.
    """
    result: dict[str, dict[Any, list[float]]] = {}
    for point in points:
        label = point[line] if isinstance(point[line], str) else f"{point[line]:g}"
        values = result.setdefault(label, {}).setdefault(point[x], [])
        values.extend(np.ravel(y(point)).tolist())
    return result


def draw_curves(
    axes: Axes, lines: Series, styles: Mapping[str, LineStyle], *, categorical: bool = False
) -> None:
    """Draw the mean of each line, with a band from its smallest to its largest value.

    Args:
        axes: Where to draw.
        lines: Values by label and x.
        styles: Of the labels.
        categorical: Put every x at the same distance from the next and name it.
    """
    ticks = sorted({x for values in lines.values() for x in values})
    position = {x: place if categorical else x for place, x in enumerate(ticks)}
    for label, values in lines.items():
        style = styles[label]
        xs = sorted(values)
        where = [position[x] for x in xs]
        axes.plot(
            where,
            [np.mean(values[x]) for x in xs],
            color=style.colour,
            linewidth=style.width,
            linestyle="--" if style.dashed else "-",
            marker="." if categorical or len(xs) <= MAX_MARKED else None,
            label=label,
        )
        axes.fill_between(
            where,
            [np.min(values[x]) for x in xs],
            [np.max(values[x]) for x in xs],
            color=style.colour,
            alpha=0.15,
            linewidth=0,
        )
    if categorical:
        axes.set_xticks(range(len(ticks)), [f"{x:g}" for x in ticks])
    axes.grid(linewidth=0.4, color="0.9")
    axes.set_axisbelow(True)


def legend_above(
    figure: Figure, axes: Iterable[Axes], *, title: str | None = None, n_columns: int = 7
) -> None:
    """One legend for all panels, above them, with at most ``n_columns`` entries side by side."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=min(len(handles), n_columns),
        fontsize=8,
        frameon=False,
        title=title,
        title_fontsize=8,
    )
