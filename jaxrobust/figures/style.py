"""Colours, names and files of all figures."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # figures are files; no screen is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

# The published colours of the methods.
METHOD_COLOURS = {
    "Standard": "#4c84e6",
    "Forward noise": "#ed64ed",
    "Beta": "#9b32a8",
    "Forward noise + beta": "#000000",
    "Dropout": "#32a83a",
    "AWP": "#fc033d",
    "ABCD": "#03fc35",
    "Entropy-SGD": "#aaa2b8",
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


def new_figure(n_rows: int, n_columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure and its panels in reading order; sizes in inches."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(width, height), squeeze=False, layout="constrained"
        )
    return figure, list(axes.ravel())


def figure_of_parts(
    n_rows: int, n_columns: int, *, width: float, height: float
) -> tuple[Figure, list[SubplotSpec]]:
    """A figure divided into parts, in reading order, for panels of their own; sizes in inches."""
    figure = plt.figure(figsize=(width, height))
    spec = figure.add_gridspec(
        n_rows, n_columns, left=0.05, right=0.99, top=0.93, bottom=0.08, wspace=0.17, hspace=0.2
    )
    return figure, [spec[row, column] for row in range(n_rows) for column in range(n_columns)]


def panels_in(
    figure: Figure, part: SubplotSpec, n_rows: int = 1, n_columns: int = 1, **space: float
) -> list[Axes]:
    """The panels of one part, in reading order; ``space`` as of a grid, ``hspace`` and ``wspace``."""
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
