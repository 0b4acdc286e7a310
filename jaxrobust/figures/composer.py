"""The one way to make a figure: panels in a grid, titles, legend and caption, and the tables behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxrobust.errors import InputError
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import Numbers, write_tables

T = TypeVar("T")


@dataclass(frozen=True)
class Row(Generic[T]):
    """One row of panels.

    Attributes:
        draw: Draws the content of one panel on given axes, with the label of its horizontal axis.
        y_label: The vertical axis, labeled in the first column only.
    """

    draw: Callable[[Axes, T], Any]
    y_label: str = ""


@dataclass(frozen=True)
class Legend:
    """One legend above all panels.

    Attributes:
        title: What its entries are, if their names do not say it.
        n_columns: Most entries side by side.
    """

    title: str | None = None
    n_columns: int = 7


@dataclass(frozen=True)
class Composition(Generic[T]):
    """A figure with one column per panel title and one row per way to draw its content.

    Example, two networks with one line each::

        lines = {"a  ECG": [0.9, 0.8], "b  Speech": [0.7, 0.6]}
        rows = [Row(lambda axes, accuracies: axes.plot(accuracies), "Accuracy")]
        Composition(lines, rows, width=4, height=3).write(Path("figures"), "two_networks", "One seed each.")

    Attributes:
        panels: The content of each column, by its title; an empty title is left out.
        rows: From top to bottom.
        width: Of one column, in inches.
        height: Of the figure, in inches.
        margin: Added to the width of all columns, in inches.
        legend: Above the panels; None if the rows draw their own or need none.
    """

    panels: Mapping[str, T]
    rows: Sequence[Row[T]]
    width: float
    height: float
    margin: float = 0.0
    legend: Legend | None = None

    def draw(self) -> Figure:
        """Draw all panels.

        Raises:
            InputError: If there are no panels or no rows.
        """
        n_columns = len(self.panels)
        if not (n_columns and self.rows):
            raise InputError("A figure needs at least one panel and one row; were the points filtered away?")
        width = self.width * n_columns + self.margin
        figure, axes = new_figure(len(self.rows), n_columns, width=width, height=self.height)
        for column, (title, content) in enumerate(self.panels.items()):
            for place, row in enumerate(self.rows):
                row.draw(axes[place * n_columns + column], content)
            if title:
                axes[column].set_title(title, loc="left")
        for place, row in enumerate(self.rows):
            if row.y_label:
                axes[place * n_columns].set_ylabel(row.y_label)
        if self.legend:
            legend_above(figure, axes, self.legend)
        return figure

    def write(self, folder: Path, name: str, caption: str, numbers: Numbers | None = None) -> list[Path]:
        """Draw the figure and write ``name.png``, ``.pdf`` and ``.txt`` and, with numbers, their tables.

        Returns:
            The files written, the picture first.
        """
        return write_figure(self.draw(), folder, name, caption, numbers)


def draw_each(axes: Axes, draw: Callable[[Axes], None]) -> None:
    """The way to draw panels whose content draws itself, for figures whose columns differ in kind."""
    draw(axes)


def write_figure(
    figure: Figure, folder: Path, name: str, caption: str, numbers: Numbers | None = None
) -> list[Path]:
    """Write a figure with its caption and the tables behind it.

    Returns:
        The files written, the picture first.
    """
    files = save_figure(figure, folder, name, caption)
    return files + write_tables(folder, name, numbers) if numbers else files


def legend_above(figure: Figure, axes: Iterable[Axes], legend: Legend) -> None:
    """Draw one legend for all panels; the first panel with a label gives its handle."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=min(len(handles), legend.n_columns),
        fontsize=8,
        frameon=False,
        title=legend.title,
        title_fontsize=8,
    )
