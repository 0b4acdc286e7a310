"""Colours, lines, axes and files of all figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # figures are files; no screen is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import PercentFormatter

# Colours that colour-blind readers tell apart (Okabe and Ito 2008); markers and dashes do so in grey print.
METHOD_COLOURS = {
    "Standard": "#0072B2",
    "Forward noise": "#E69F00",
    "Beta": "#CC79A7",
    "Forward noise + beta": "#000000",
    "Dropout": "#009E73",
    "AWP": "#D55E00",
    "ABCD": "#56B4E9",
    "Entropy-SGD": "#999999",
}
METHOD_MARKERS = dict(zip(METHOD_COLOURS, "osD^vPX*", strict=True))
METHOD_DASHES: dict[str, Any] = {
    "Forward noise": (0, (6, 2)),
    "Beta": "--",
    "Dropout": ":",
    "AWP": "-.",
    "ABCD": (0, (1, 1)),
    "Entropy-SGD": (0, (3, 1, 1, 1)),
}

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class LineStyle:
    """How a line looks: its colour, width in points, whether it is dashed (or how), and its marker."""

    colour: str
    width: float = 1.0
    dashed: bool = False
    dashes: Any = None
    marker: str = "."

    @property
    def look(self) -> dict[str, Any]:
        """Color and dashes as keywords of matplotlib; the width differs by kind of figure."""
        dashes = "--" if self.dashed else "-"
        return {"color": self.colour, "linestyle": dashes if self.dashes is None else self.dashes}


METHOD_STYLES = {
    method: LineStyle(colour, 1.3, dashes=METHOD_DASHES.get(method), marker=METHOD_MARKERS[method])
    for method, colour in METHOD_COLOURS.items()
}
SHADE_MARKERS = "osD^vPX*"


def shades(labels: Iterable[str]) -> dict[str, LineStyle]:
    """Return styles for ordered labels, from dark to light."""
    labels = list(labels)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(len(labels), 2)))
    return {
        label: LineStyle(to_hex(colour), 1.5, marker=SHADE_MARKERS[index % len(SHADE_MARKERS)])
        for index, (label, colour) in enumerate(zip(labels, colours, strict=False))
    }


def in_percent(axis: Axis) -> None:
    """Write fractions as percent."""
    axis.set_major_formatter(PercentFormatter(1))


def accuracy_axis(axes: Axes) -> None:
    """Let the vertical axis show accuracies (fractions) from 0 to 100 %."""
    axes.set_ylim(0, 1.02)
    in_percent(axes.yaxis)


def light_grid(axes: Axes, **look: Any) -> None:
    """Draw thin gray grid lines below everything else; ``look`` as of ``Axes.grid``."""
    axes.grid(**{"linewidth": 0.4, "color": "0.9", **look})
    axes.set_axisbelow(True)


def new_figure(n_rows: int, n_columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure and its panels in reading order; sizes in inches."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(width, height), squeeze=False, layout="constrained"
        )
    return figure, list(axes.ravel())


def figure_of_parts(
    n_rows: int, n_columns: int, *, width: float, height: float
) -> tuple[Figure, list[SubplotSpec]]:
    """Make a figure divided into parts, each with room for several panels; sizes in inches."""
    figure = plt.figure(figsize=(width, height))
    spec = figure.add_gridspec(
        n_rows, n_columns, left=0.05, right=0.99, top=0.93, bottom=0.08, wspace=0.17, hspace=0.2
    )
    return figure, [spec[row, column] for row in range(n_rows) for column in range(n_columns)]


def panels_in(
    figure: Figure, part: SubplotSpec, n_rows: int = 1, n_columns: int = 1, **space: float
) -> list[Axes]:
    """Add panels to one part, in reading order; ``space`` is ``hspace`` and ``wspace`` of the grid."""
    grid = part.subgridspec(n_rows, n_columns, **space)
    with plt.rc_context(STYLE):
        return [figure.add_subplot(grid[row, column]) for row in range(n_rows) for column in range(n_columns)]


def save_figure(figure: Figure, folder: Path, name: str, caption: str) -> list[Path]:
    """Write a figure with its caption below it, as PDF and PNG, and the caption as text.

    Returns:
        The files, the PNG first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    look: dict[str, Any] = {"fontsize": 7, "color": "0.35", "ha": "left", "wrap": True}
    if figure.get_layout_engine():
        figure.supxlabel(caption, x=0.01, **look)
    else:
        figure.text(0.01, -0.01, caption, va="top", **look)
    with plt.rc_context(STYLE):
        for path in paths:
            figure.savefig(path)
    plt.close(figure)
    text = folder / f"{name}.txt"
    text.write_text(caption + "\n")
    return [*paths, text]
