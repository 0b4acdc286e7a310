"""Where tickets start and what they keep: histograms of weights, overlap of masks, pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.sparse_tickets.lines import STYLES, describe, draw_over_density
from jaxrobust.figures.style import LineStyle, shades

_LAYERS = {"w1": "first layer", "w2": "second layer", "w3": "last layer"}


def draw_start_weights(points: Points, folder: Path, name: str) -> list[Path]:
    """Densities of the kept weights that a round starts from, one panel per layer."""
    panels = {title: layer for layer, title in _LAYERS.items() if layer in points[0]["start_weights"]}

    def draw(axes: Axes, layer: str) -> None:
        for p in points:
            found = p["start_weights"][layer]
            style = STYLES[p["strategy_name"]]
            axes.stairs(
                found["density"],
                found["edges"],
                label=p["strategy_name"],
                linewidth=style.width,
                **style.look,
            )
        axes.set_xlabel("Weight")

    figure = Composition(
        panels, [Row(draw, "Density")], width=3.0, height=3.2, legend=Legend("Start of the kept weights", 4)
    )
    density = points[0]["density"]
    caption = f"Weights that are kept at {100 * density:.1f} % as training starts. {describe(points)}"
    return figure.write(folder, name, caption)


def draw_overlaps(points: Points, folder: Path, name: str) -> list[Path]:
    """Jaccard index of tickets over density, beside that of independent masks of the same densities."""
    lines: dict[str, dict[float, list[float]]] = {}
    for p in points:
        label = "other seed, " + p["one"]["training"] if p["pair"] == "seeds" else p["trainings"]
        place = round(p["density"], 4)
        lines.setdefault(label, {}).setdefault(place, []).append(p["overlap"]["all"])
        lines.setdefault("independent", {})[place] = [_independent(p["one"])]
    styles = {**shades([one for one in lines if one != "independent"])}
    styles["independent"] = LineStyle("0.5", 1.0, dashed=True)

    def finish(axes: Axes) -> None:
        axes.set_ylim(0, 1.02)
        axes.legend(fontsize=8)

    panels: dict[str, Series] = {"": lines}
    figure = Composition(
        panels, [Row(draw_over_density(styles, finish), "Overlap (Jaccard)")], width=4.6, height=3.4
    )
    note = describe([p["one"] for p in points])
    caption = (
        f"Kept weights that two tickets have in common, of those that any keeps; rewound to their start. "
        f"Independent: as many weights of each layer, drawn at random. {note}"
    )
    tables = [LineTable("", "density", "overlap", lines, percent=False, note=note)]
    return figure.write(
        folder, name, caption, line_numbers("Jaccard index: mean [smallest, largest].", tables)
    )


def _independent(point: Mapping[str, Any]) -> float:
    """The expected index of two independent masks with the layers' densities."""
    both = any_ = 0.0
    for kept, total in point["kept_weights"].values():
        both += kept * kept / total
        any_ += 2 * kept - kept * kept / total
    return both / any_


def draw_pixels(points: Points, folder: Path, name: str) -> list[Path]:
    """Kept weights of the first layer per pixel, one image per strategy."""
    panels = {p["strategy_name"]: p for p in points}

    def draw(axes: Axes, point: Mapping[str, Any]) -> None:
        side = int(np.sqrt(len(point["input_map"])))
        shown = axes.imshow(np.reshape(point["input_map"], (side, side)), cmap="viridis", vmin=0)
        axes.set_xticks([])
        axes.set_yticks([])
        assert axes.figure is not None
        axes.figure.colorbar(shown, ax=axes, shrink=0.7)

    figure = Composition(panels, [Row(draw)], width=2.4, height=2.4)
    density = points[0]["density"]
    caption = (
        f"Weights of the first layer that are kept per pixel, of 300, at {100 * density:.1f} % of all "
        f"weights. {describe(points)}"
    )
    return figure.write(folder, name, caption)
