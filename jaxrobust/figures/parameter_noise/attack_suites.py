"""What two attacks on the parameters leave: the published protocol, and the suite that tries harder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.style import METHOD_STYLES, accuracy_axis


class Panel(NamedTuple):
    """What one column shows: points, and the accuracy of each method after either attack."""

    points: Points
    published: Series
    suite: Series
    corners: Series


def draw_attack_suites(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy after the published attack above that after the suite ``standard``, and write the tables.

    Args:
        points: Trained points with ``size``, ``worst_case`` and ``suite``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    panels = {title: _panel(of) for title, of in panels_by_network(points).items()}

    rows = [Row(_draw_published, "Published protocol"), Row(_draw_suite, "Suite standard")]
    caption = (
        "Test accuracy at the worst parameters found in a box of relative size ζ. Top: ten sign steps, one "
        "start, uphill on the cross-entropy (published). Bottom: the lowest of three losses with two starts "
        "each, 20 random corners and the network itself; smaller is closer to the true worst case.\n"
        + "\n".join(f"{title.strip()}: {describe(panel.points)}" for title, panel in panels.items())
    )
    tables = [table for title, panel in panels.items() for table in _tables(title, panel)]
    figure = Composition(panels, rows, width=3.6, height=5.6, margin=0.4, legend=Legend())
    return figure.write(
        folder, name, caption, line_numbers("Test accuracy in %: mean over networks.", tables)
    )


def _draw_published(axes: Axes, panel: Panel) -> None:
    _draw(axes, panel.points, panel.published)


def _draw_suite(axes: Axes, panel: Panel) -> None:
    _draw(axes, panel.points, panel.suite)
    axes.set_xlabel("Attack size ζ (relative to each parameter)")


def _draw(axes: Axes, points: Points, lines: Series) -> None:
    draw_curves(axes, lines, METHOD_STYLES, categorical=True)
    accuracy_axis(axes)
    mark_chance(axes, points)


def _panel(points: Points) -> Panel:
    def over_sizes(accuracy: Any) -> Series:
        measured = series(points, x="size", y=accuracy, line="method")
        nominal = series(points, x="size", y=lambda point: point["suite"]["nominal"], line="method")
        return {
            method: {0.0: next(iter(nominal[method].values())), **by_size}
            for method, by_size in measured.items()
        }

    def lowest_corner(point: Mapping[str, Any]) -> float:
        return min(point["suite"]["corners"])

    return Panel(
        points,
        over_sizes(lambda point: point["worst_case"]["accuracy"]),
        over_sizes(lambda point: point["suite"]["accuracy"]),
        over_sizes(lowest_corner),
    )


def _tables(title: str, panel: Panel) -> list[LineTable]:
    note = describe(panel.points)
    return [
        LineTable(title, "ζ", what, lines, heading=f"{title}: {heading}", note=note)
        for what, heading, lines in (
            ("published", "published protocol, accuracy in %", panel.published),
            ("suite", "suite standard, accuracy in %", panel.suite),
            ("corners", "lowest of 20 random corners, accuracy in %", panel.corners),
        )
    ]
