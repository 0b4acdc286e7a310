"""Fine-tuning with noise and attacks for phase-change memory: accuracy over noise, attack steps or time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe, listed
from jaxrobust.figures.curves import LineStyle, Series, draw_curves, legend_above, series, shades
from jaxrobust.figures.line_tables import line_records, line_table
from jaxrobust.figures.style import METHOD_COLOURS, new_figure, save_figure
from jaxrobust.figures.tables import write_tables

Points = Sequence[Mapping[str, Any]]

BASELINES = {
    "No noise": LineStyle(METHOD_COLOURS["Standard"], 1.5),
    "Noise": LineStyle(METHOD_COLOURS["Forward noise"], 1.5),
}


def draw_lines(
    panels: Mapping[str, Points],
    folder: Path,
    name: str,
    *,
    x: str,
    x_label: str,
    explanation: str,
    line: Callable[[Mapping[str, Any]], str],
    line_title: str | None = None,
    log_x: bool = False,
) -> list[Path]:
    """Draw mean accuracies over ``x`` with their range, and write the tables.

    Args:
        panels: Titles with their points, which hold ``accuracies``.
        folder: Where the files go.
        name: Their name without ending.
        x: The key of the horizontal axis.
        x_label: What it is, in words.
        explanation: What is drawn, for the caption.
        line: The line that a point belongs to.
        line_title: What the lines are, if their names do not say it.
        log_x: Draw the horizontal axis to a logarithmic scale.

    Returns:
        The files written, the picture first.
    """
    figure, axes = new_figure(1, len(panels), width=4.6 * len(panels) + 0.6, height=3.8)
    tables, records, everything = [], [], []
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        lines = series(
            [{**point, "line": line(point), "mean": _mean(point)} for point in points],
            x=x,
            y=lambda point: point["mean"],
            line="line",
        )
        lines = {label: lines[label] for label in sorted(lines, key=_place)}
        _draw(ax, lines, x_label, log_x=log_x)
        ax.set_title(title, loc="left")
        tables.append(line_table(title, x_label, lines, percent=True))
        records += line_records(title, "accuracy", lines)
        everything += points
    axes[0].set_ylabel("Test accuracy")
    legend_above(figure, axes, title=line_title)
    caption = f"{explanation}\n{_network(everything)}{describe(everything)}"
    files = save_figure(figure, folder, name, caption)
    return files + write_tables(folder, name, tables, explanation=f"In %. {caption}", records=records)


def method_and_attack(point: Mapping[str, Any]) -> str:
    """Name a line by how its networks were trained."""
    if point["beta_robustness"] == 0:
        return "Noise" if point["noisy_forward_std"] else "No noise"
    return f"Noise + attack, ζ = {point['attack_size_mismatch']:g}"


def _draw(axes: Axes, lines: Series, x_label: str, *, log_x: bool) -> None:
    others = shades(label for label in lines if label not in BASELINES)
    draw_curves(axes, lines, {**others, **BASELINES})
    for drawn in axes.get_lines():
        drawn.set_marker(".")
    if log_x:
        axes.set_xscale("log")
    axes.set_xlabel(x_label)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _place(label: str) -> tuple[int, str]:
    names = list(BASELINES)
    return (names.index(label) if label in names else len(names), label)


def _mean(point: Mapping[str, Any]) -> float:
    return sum(point["accuracies"]) / len(point["accuracies"])


def _network(points: Points) -> str:
    """What of the published network was made smaller."""
    blocks = {point["n_blocks"] for point in points} - {5}
    if not blocks:
        return ""
    depths = listed({f"ResNet{6 * n + 2}" for n in blocks})
    batches = listed({point["batch_size"] for point in points})
    begins = listed({point["warmup"] for point in points if point["beta_robustness"]})
    smaller = f"{depths} instead of ResNet32, batches of {batches} (published: 256)"
    return f"{smaller}, attacks after {begins} epochs. "
