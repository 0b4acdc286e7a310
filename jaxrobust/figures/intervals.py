"""Verified accuracy of spiking networks, and the membrane potentials that decide about it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import METHOD_STYLES, draw_curves, legend_above, series
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]


def draw_verified_accuracy(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw and tabulate the verified accuracy of each method over the ``size`` of the box."""
    panels = panels_by_network(points)
    figure, axes = new_figure(1, len(panels), width=4.2 * len(panels), height=3.6)
    tables, records = [], []
    for ax, (title, of_network) in zip(axes, panels.items(), strict=True):
        lines = series(of_network, x="size", y=lambda point: point["verified"])
        draw_curves(ax, lines, METHOD_STYLES, categorical=True)
        ax.set_title(title, loc="left")
        ax.set_xlabel("Half width of the box ζ (relative to each parameter)")
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        tables.append(line_table(title, "ζ", lines, percent=True, note=describe(of_network)))
        records += line_records(title, "verified accuracy", lines)
    axes[0].set_ylabel("Verified test accuracy")
    legend_above(figure, axes)
    caption = (
        "Test samples that every network in the box classifies correctly, proven by interval propagation "
        "(at ζ = 0: whatever the rounding); lines: mean over networks, bands: smallest to largest.\n"
        f"{describe(points)}"
    )
    explanation = "Verified test accuracy in %: mean over networks [smallest, largest]."
    return save_figure(figure, folder, name, caption) + write_tables(
        folder, name, tables, explanation=explanation, records=records
    )


def draw_membrane_potentials(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw how often which membrane potential occurs (``activity`` of each point), each network a line."""
    panels = panels_by_network(points)
    figure, axes = new_figure(1, len(panels), width=4.2 * len(panels), height=3.6)
    for ax, (title, of_network) in zip(axes, panels.items(), strict=True):
        for point in of_network:
            style = METHOD_STYLES[point["method"]]
            edges = np.asarray(point["activity"]["edges"])
            counts = np.asarray(point["activity"]["counts"])
            ax.stairs(
                counts / (counts.sum() * np.diff(edges)),
                edges,
                color=style.colour,
                linewidth=min(style.width, 1.6),
                linestyle="--" if style.dashed else "-",
                label=point["method"],
            )
        ax.set_yscale("log")
        ax.set_title(title, loc="left")
        ax.set_xlabel("Membrane potential (resting threshold: 0.01)")
    axes[0].set_ylabel("Density")
    legend_above(figure, axes)
    caption = (
        "Membrane potentials over units, time steps and at most 100 test samples; all below -20 stand in the "
        f"lowest bin; a line a network.\n{describe([_of_activity(point) for point in points])}"
    )
    return save_figure(figure, folder, name, caption)


def _of_activity(point: Mapping[str, Any]) -> dict[str, Any]:
    """The point with the number of samples that its histogram counts."""
    return {**point, "n_samples": min(100, point["n_test_samples"])}
