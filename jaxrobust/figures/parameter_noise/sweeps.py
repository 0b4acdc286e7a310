"""Accuracy over the mismatch level for the values of one setting: mean and standard deviation, and tables."""

from pathlib import Path

from matplotlib.axes import Axes

from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.error_bars import draw_error_bars
from jaxrobust.figures.parameter_noise.comparison import caption_of
from jaxrobust.figures.parameter_noise.mismatch import (
    EXPLANATION,
    accuracies_by,
    mismatch_records,
    mismatch_table,
)
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points
from jaxrobust.figures.tables import Numbers


def draw_mismatch_sweep(
    points: Points, folder: Path, name: str, *, setting: str, called: str, none: str = "0"
) -> list[Path]:
    """Draw one panel per network with one line per value of a setting, and write the tables.

    Args:
        points: Points with ``level`` and ``accuracies``.
        folder: Where the files go.
        name: Their name without ending.
        setting: The key whose values label the lines.
        called: What the setting is, in words.
        none: Label of its value 0.

    Returns:
        The files written, the picture first.
    """
    named = [{**point, "line": f"{point[setting]:g}" if point[setting] else none} for point in points]
    panels = panels_by_network(sorted(named, key=lambda point: point[setting]))

    def draw(axes: Axes, of_network: Points) -> None:
        draw_error_bars(axes, accuracies_by(of_network, "line"))
        mark_chance(axes, of_network)
        axes.set_xlabel("Mismatch level ζ")
        axes.legend(title=called, fontsize=8, title_fontsize=8, frameon=False, loc="lower left")

    figure = Composition(panels, [Row(draw, "Test accuracy")], width=4.4, height=3.4)
    caption = (
        "Mean and standard deviation over networks and devices; the lines are set a little apart.\n"
        + caption_of(panels)
    )
    in_words = {
        title: [{**point, "line": f"{called} {point['line']}"} for point in points]
        for title, points in panels.items()
    }
    tables = [mismatch_table(f"{title}: {called}", points, "line") for title, points in in_words.items()]
    records = [
        record for title, points in panels.items() for record in mismatch_records(title, points, "line")
    ]
    return figure.write(folder, name, caption, Numbers(tables, records, EXPLANATION))
