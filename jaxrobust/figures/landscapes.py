"""The loss along lines through trained parameters, and the table of how steep it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import METHOD_STYLES, LineStyle, legend_above
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import Table, write_tables

Points = Sequence[Mapping[str, Any]]

# Points of the published moving average.
WINDOW = 5
# Beyond, the flat landscapes of a panel would lie on top of each other.
LARGEST_LINEAR_RATIO = 10


def draw_landscapes(
    axes: Axes, points: Points, styles: Mapping[str, LineStyle], *, smooth: bool, line: str = "method"
) -> None:
    """Draw the mean landscape of each method over networks and directions, on a logarithmic axis if need be.

    Args:
        axes: Where to draw.
        points: Trained points with their ``landscape``.
        styles: Of the labels.
        smooth: Take a moving average, as published; if not, each direction is drawn too, as a thin line.
        line: The key whose values name the lines; numbers are named in short.
    """
    curves: dict[str, list[Sequence[float]]] = {}
    for point in points:
        label = point[line] if isinstance(point[line], str) else f"{point[line]:g}"
        curves.setdefault(label, []).extend(point["landscape"]["losses"])
    alphas = np.asarray(points[0]["landscape"]["alphas"])
    for label, losses in curves.items():
        style = styles[label]
        look: dict[str, Any] = {"color": style.colour, "linestyle": "--" if style.dashed else "-"}
        mean = np.mean(losses, axis=0)
        if smooth:
            average = np.full(WINDOW, 1 / WINDOW)
            where, mean = np.convolve(alphas, average, "valid"), np.convolve(mean, average, "valid")
        else:
            where = alphas
            axes.plot(alphas, np.transpose(losses), linewidth=0.4, alpha=0.35, **look)
        axes.plot(where, mean, linewidth=style.width, label=label, **look)
    drawn = np.concatenate([curve.get_ydata() for curve in axes.lines])
    if drawn.min() > 0 and drawn.max() > LARGEST_LINEAR_RATIO * drawn.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(linewidth=0.4, color="0.9")
    axes.set_axisbelow(True)


def compare_landscapes(
    points: Points,
    folder: Path,
    name: str,
    *,
    direction: str,
    unit: str,
    line: str = "method",
    styles: Mapping[str, LineStyle] = METHOD_STYLES,
    legend_title: str | None = None,
) -> list[Path]:
    """Draw smoothed and raw landscapes, a panel for each network, and write the table of slopes.

    Args:
        points: Trained points with their ``landscape``.
        folder: Where the files go.
        name: Their name without ending; the raw ones have ``_raw`` behind it.
        direction: What the lines follow, in words.
        unit: Where on the line α is 1, in words.
        line: The key whose values name the lines.
        styles: Of the lines.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    n_directions = len(points[0]["landscape"]["losses"])
    files = []
    for ending, smooth, how in (
        ("", True, f"smoothed by a moving average of {WINDOW} points"),
        ("_raw", False, "thin lines: single directions"),
    ):
        panels = panels_by_network(points)
        figure, axes = new_figure(1, len(panels), width=3.6 * len(panels) + 0.4, height=3.6)
        for ax, (title, of_network) in zip(axes, panels.items(), strict=True):
            draw_landscapes(ax, of_network, styles, smooth=smooth, line=line)
            ax.set_title(title, loc="left")
            ax.set_xlabel(f"Distance α (1: {unit})")
        axes[0].set_ylabel("Cross-entropy (nats)")
        legend_above(figure, axes, title=legend_title)
        part = points[0].get("part", "test")
        caption = (
            f"Loss on the {part} set along {direction}s ({n_directions} a network), mean over networks and "
            f"directions, {how}.\n{describe(points)}"
        )
        files += save_figure(figure, folder, f"{name}{ending}", caption)
    table, records = _slopes(points, line)
    explanation = f"Mean slope of the smoothed landscape along {direction}s, mean over networks."
    return files + write_tables(folder, name, [table], explanation=explanation, records=records)


def _slopes(points: Points, line: str) -> tuple[Table, list[dict[str, Any]]]:
    slopes: dict[str, dict[str, list[float]]] = {}
    panels = panels_by_network(points)
    for title, of_network in panels.items():
        for point in of_network:
            label = point[line] if isinstance(point[line], str) else f"{point[line]:g}"
            slopes.setdefault(label, {}).setdefault(title, []).append(point["landscape"]["slope"])
    flattest = {
        title: min(np.mean(row[title]) for row in slopes.values() if title in row) for title in panels
    }
    rows = []
    for label, row in slopes.items():
        means = {title: np.mean(row[title]) for title in row}
        numbers = {title: f"{mean:.4f}" for title, mean in means.items()}
        best = {title: f"**{text}**" for title, text in numbers.items() if means[title] == flattest[title]}
        rows.append([label, *((numbers | best).get(title, "–") for title in panels)])
    records = [
        {"panel": title, "line": label, "slope": float(np.mean(values)), "n": len(values)}
        for label, row in slopes.items()
        for title, values in row.items()
    ]
    return Table("Slopes", [line, *panels], rows, describe(points)), records
