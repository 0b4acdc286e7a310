"""Accuracy and loss under attacks of growing size, a column for each network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import METHOD_STYLES, LineStyle, draw_curves, legend_above, series
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]

# Divergences from the network's own answers begin at rounding errors, which a logarithmic axis would show.
SMALLEST_LOSS = 1e-3


def draw_worst_case(
    points: Points,
    folder: Path,
    name: str,
    *,
    attacked: str,
    line: str = "method",
    styles: Mapping[str, LineStyle] = METHOD_STYLES,
) -> list[Path]:
    """Draw what an attack leaves of the accuracy and what it makes of its loss, and write the tables.

    Args:
        points: Trained points with ``size`` and ``worst_case``.
        folder: Where the files go.
        name: Their name without ending.
        attacked: What the attack increases, in words.
        line: The key whose values name the lines.
        styles: Of the lines.

    Returns:
        The files written, the picture first.
    """
    panels = panels_by_network(points)
    figure, axes = new_figure(2, len(panels), width=3.6 * len(panels) + 0.4, height=5.6)
    tables, records = [], []
    for column, (title, of_network) in enumerate(panels.items()):
        top, bottom = axes[column], axes[column + len(panels)]
        accuracies = series(of_network, x="size", y=lambda p: p["worst_case"]["accuracy"], line=line)
        draw_curves(top, accuracies, styles, categorical=True)
        top.set_title(title, loc="left")
        top.set_ylim(0, 1.02)
        top.yaxis.set_major_formatter(PercentFormatter(1))
        losses = series(
            of_network, x="size", y=lambda p: [end[-1] for end in p["worst_case"]["losses"]], line=line
        )
        draw_curves(bottom, losses, styles, categorical=True)
        bottom.set_yscale("log")
        low, high = bottom.get_ylim()
        if high > 10 * SMALLEST_LOSS:
            bottom.set_ylim(bottom=max(low, SMALLEST_LOSS))
        bottom.set_xlabel("Attack size ζ (relative to each parameter)")
        note = describe(of_network)
        tables.append(line_table(f"{title}: accuracy in %", "ζ", accuracies, percent=True, note=note))
        tables.append(line_table(f"{title}: loss in nats", "ζ", losses, higher_is_better=False, note=note))
        records += line_records(title, "accuracy", accuracies) + line_records(title, "loss", losses)
    axes[0].set_ylabel("Test accuracy under attack")
    axes[len(panels)].set_ylabel("Attacked loss (nats)")
    legend_above(figure, axes)
    caption = (
        f"Attack on the parameters with ten steps that increase the {attacked}; lines: mean over networks, "
        f"bands: smallest to largest.\n{describe(points)}"
    )
    explanation = f"Attack on the {attacked}: mean over networks [smallest, largest]."
    return save_figure(figure, folder, name, caption) + write_tables(
        folder, name, tables, explanation=explanation, records=records
    )
