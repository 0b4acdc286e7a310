"""Self-binarization: accuracy under huge multiplicative noise, and activations that are nearly zero."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.style import in_percent, light_grid
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.figures.walking_noise.points import Points, describe, name_of


def draw_binarization(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw accuracy with the noise above the share of activations near zero, one column per network.

    Args:
        points: Points with ``place``, ``level``, ``accuracies`` (without and with the noise) and
            ``statistics``.
        folder: Where the files go.
        name: Their name.
    """
    panels: dict[str, list[Any]] = {}
    for point in points:
        panels.setdefault(name_of(point["network"]), []).append(point)

    def bars(axes: Axes, its: list[Any], values: list[float]) -> None:
        axes.bar(range(len(its)), values, color=["0.6" if not p["place"] else "#d95f02" for p in its])
        axes.set_xticks(range(len(its)), [_label(p) for p in its], rotation=40, fontsize=7, ha="right")
        for x, value in enumerate(values):
            axes.text(x, value, f"{value:.0%}", ha="center", va="bottom", fontsize=7)
        in_percent(axes.yaxis)
        light_grid(axes, axis="y")
        axes.set_ylim(0, 1.1)

    def accuracies(axes: Axes, its: list[Any]) -> None:
        bars(axes, its, [_accuracy(point) for point in its])

    def zeros(axes: Axes, its: list[Any]) -> None:
        bars(axes, its, [_near_zero(point) for point in its])

    rows = [Row(accuracies, "Accuracy under its noise"), Row(zeros, "Zeros at its position")]
    caption = (
        f"Multiplicative noise at one position in training and evaluation; grey: trained without noise, "
        f"zeros at relu1. Zeros: activations below 1 % of the 95th percentile. {describe(points)}"
    )
    records = [_record(title, p) for title, its in panels.items() for p in its]
    cells = [
        [r["network"], r["label"], *(f"{100 * r[k]:.1f}" for k in ("with_noise", "without_noise", "zeros"))]
        for r in records
    ]
    header = ["network", "noise", "accuracy with it", "without it", "activations near zero"]
    table = Table("In %", header, cells)
    composition = Composition(panels, rows, width=3.6, height=5.0)
    return composition.write(folder, name, caption, Numbers([table], records, caption))


def _label(point: Any) -> str:
    return f"{point['place']}, {point['level']:.0e}" if point["place"] else "no noise"


def _accuracy(point: Any) -> float:
    return float(np.mean([row[1] for row in point["accuracies"]]))


def _near_zero(point: Any) -> float:
    return float(point["statistics"]["near_zero"][point["place"] or "relu1"])


def _record(title: str, point: Any) -> dict[str, Any]:
    return {
        "network": title,
        "label": _label(point),
        "with_noise": _accuracy(point),
        "without_noise": float(np.mean([row[0] for row in point["accuracies"]])),
        "zeros": _near_zero(point),
    }
