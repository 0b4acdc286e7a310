"""Fine-tuning with noise and attacks for phase-change memory: accuracy over noise, attack steps or time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe, listed
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.style import METHOD_COLOURS, LineStyle, in_percent, shades

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
        line: Returns the label of a point's line.
        line_title: What the lines are, if their names do not say it.
        log_x: Draw the horizontal axis to a logarithmic scale.

    Returns:
        The files written, the picture first.
    """
    lines = {title: _lines(points, x, line) for title, points in panels.items()}

    def draw(axes: Axes, lines: Series) -> None:
        others = shades(label for label in lines if label not in BASELINES)
        draw_curves(axes, lines, {**others, **BASELINES})
        for drawn in axes.get_lines():
            drawn.set_marker(".")
        if log_x:
            axes.set_xscale("log")
        axes.set_xlabel(x_label)
        in_percent(axes.yaxis)

    rows = [Row(draw, "Test accuracy")]
    figure = Composition(lines, rows, width=4.6, height=3.8, margin=0.6, legend=Legend(line_title))
    everything = [point for points in panels.values() for point in points]
    caption = f"{explanation}\n{_network(everything)}{describe(everything)}"
    tables = [LineTable(title, x_label, "accuracy", of_panel) for title, of_panel in lines.items()]
    return figure.write(folder, name, caption, line_numbers(f"In %. {caption}", tables))


def method_and_attack(point: Mapping[str, Any]) -> str:
    """Return the label of a point's line: how its network was trained."""
    if point["beta_robustness"] == 0:
        return "Noise" if point["noisy_forward_std"] else "No noise"
    return f"Noise + attack, ζ = {point['attack_size_mismatch']:g}"


def _lines(points: Points, x: str, line: Callable[[Mapping[str, Any]], str]) -> Series:
    """Return mean accuracies of networks by line and ``x``, baselines first."""
    labeled = [{**point, "line": line(point)} for point in points]
    lines = series(labeled, x=x, y=_mean, line="line")
    return {label: lines[label] for label in sorted(lines, key=_place)}


def _place(label: str) -> tuple[int, str]:
    names = list(BASELINES)
    return (names.index(label) if label in names else len(names), label)


def _mean(point: Mapping[str, Any]) -> float:
    return sum(point["accuracies"]) / len(point["accuracies"])


def _network(points: Points) -> str:
    """Say in what the network is smaller than the published one; empty if it is not."""
    blocks = {point["n_blocks"] for point in points} - {5}
    if not blocks:
        return ""
    depths = listed({f"ResNet{6 * n + 2}" for n in blocks})
    batches = listed({point["batch_size"] for point in points})
    begins = listed({point["warmup"] for point in points if point["beta_robustness"]})
    smaller = f"{depths} instead of ResNet32, batches of {batches} (published: 256)"
    return f"{smaller}, attacks after {begins} epochs. "
