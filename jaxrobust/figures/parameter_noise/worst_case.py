"""Accuracy and loss under attacks of growing size, one column per network."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.chance import mark_chance
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.pooling import spread_of
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.style import METHOD_STYLES, LineStyle, accuracy_axis

# Divergences from the network's own answers start at rounding errors, which would stretch a logarithmic axis.
SMALLEST_LOSS = 1e-3


class Panel(NamedTuple):
    """What one column shows: points, and the lines of both rows."""

    points: Points
    accuracies: Series
    losses: Series


def draw_worst_case(
    points: Points,
    folder: Path,
    name: str,
    *,
    attacked: str,
    line: str = "method",
    styles: Mapping[str, LineStyle] = METHOD_STYLES,
) -> list[Path]:
    """Draw accuracy and loss after an attack on the parameters, and write the tables.

    Args:
        points: Trained points with ``size`` and ``worst_case``.
        folder: Where the files go.
        name: Their name without ending.
        attacked: The loss that the attack increases, in words.
        line: The key whose values label the lines.
        styles: Styles by label.

    Returns:
        The files written, the picture first.
    """

    def draw_accuracies(axes: Axes, panel: Panel) -> None:
        draw_curves(axes, panel.accuracies, styles, categorical=True)
        accuracy_axis(axes)
        mark_chance(axes, panel.points)

    def draw_losses(axes: Axes, panel: Panel) -> None:
        draw_curves(axes, panel.losses, styles, categorical=True)
        # Linear below, so that a loss of 0, as of a divergence at size 0, has its place.
        axes.set_yscale("symlog", linthresh=SMALLEST_LOSS, linscale=0.3)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Attack size ζ (relative to each parameter)")

    panels = {
        title: Panel(
            of,
            series(of, x="size", y=lambda p: p["worst_case"]["accuracy"], line=line),
            series(of, x="size", y=lambda p: [end[-1] for end in p["worst_case"]["losses"]], line=line),
        )
        for title, of in panels_by_network(points).items()
    }
    figure = Composition(
        panels,
        [Row(draw_accuracies, "Test accuracy under attack"), Row(draw_losses, "Attacked loss (nats)")],
        width=3.6,
        height=5.6,
        margin=0.4,
        legend=Legend(),
    )
    spread = spread_of(
        values for panel in panels.values() for by_x in panel.accuracies.values() for values in by_x.values()
    )
    caption = (
        f"One attack of ten steps on the parameters that increases the {attacked}: the published protocol, "
        f"no worst case (for that there is the suite standard); {spread}.\n{describe(points)}"
    )
    tables = [table for title, panel in panels.items() for table in _tables(title, panel)]
    explanation = f"Attack on the {attacked}: mean over networks [smallest, largest]."
    return figure.write(folder, name, caption, line_numbers(explanation, tables))


def _tables(title: str, panel: Panel) -> list[LineTable]:
    note = describe(panel.points)
    return [
        LineTable(title, "ζ", "accuracy", panel.accuracies, heading=f"{title}: accuracy in %", note=note),
        LineTable(
            title,
            "ζ",
            "loss",
            panel.losses,
            heading=f"{title}: loss in nats",
            percent=False,
            higher_is_better=False,
            note=note,
        ),
    ]
