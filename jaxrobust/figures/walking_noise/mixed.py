"""Accuracy under combined noise as maps: amplitude and ratio, or both standard deviations."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.heat_maps import draw_accuracy_map
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.figures.walking_noise.points import Points, describe, name_of

ORDERS = {"multiply_then_add": "multiply, then add", "add_then_multiply": "add, then multiply"}
# What stands along the rows and the columns, by the axes of a map.
LABELS = {
    "amplitude, ratio": ("amplitude", "share of the amplitude that is additive"),
    "multiplicative, additive": ("multiplicative σ", "additive σ"),
}
Cells = dict[tuple[float, float], list[float]]


def draw_mixed(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw one column per order of the noise and one row per kind of map.

    Args:
        points: Points whose ``sweep`` is a ``NoiseMap``, with their ``accuracies``; maps of equal axes and
            order are put together.
        folder: Where the files go.
        name: Their name.
    """
    maps = cells_of(points)
    kinds = list(dict.fromkeys(axes for axes, _ in maps))
    panels = {ORDERS[order]: order for order in ORDERS if any(order == found for _, found in maps)}

    def draw(kind: str, axes: Axes, order: str) -> None:
        if (kind, order) not in maps:
            axes.set_axis_off()
            return
        draw_accuracy_map(axes, *_matrix(maps[kind, order]))
        axes.set_xlabel(LABELS[kind][1])

    rows = [Row(partial(draw, kind), LABELS[kind][0]) for kind in kinds]
    where = ", ".join(points[0]["sweep"].positions)
    caption = (
        f"Test accuracy under multiplicative and additive noise together, at {where} of the "
        f"{name_of(points[0]['network'])}. {describe(points)}"
    )
    tables = [_table(kind, order, cells) for (kind, order), cells in maps.items()]
    numbers = Numbers(tables, _records(maps), caption)
    composition = Composition(panels, rows, width=4.2, height=3.2 * len(rows))
    return composition.write(folder, name, caption, numbers)


def cells_of(points: Points) -> dict[tuple[str, str], Cells]:
    """Accuracies of all networks and draws by axes and order, then by the two numbers of a cell."""
    maps: dict[tuple[str, str], Cells] = {}
    for point in points:
        sweep, accuracies = point["sweep"], np.array(point["accuracies"])
        cells = maps.setdefault((sweep.axes, sweep.order), {})
        pairs = [(row, column) for row in sweep.rows for column in sweep.columns]
        for pair, found in zip(pairs, accuracies.T.tolist(), strict=True):
            cells.setdefault(pair, []).extend(found)
    return maps


def _matrix(cells: Cells) -> tuple[Float[np.ndarray, "rows columns"], list[float], list[float]]:
    rows, columns = (sorted({pair[axis] for pair in cells}) for axis in (0, 1))
    nothing = [float("nan")]
    matrix = np.array([[np.mean(cells.get((row, column), nothing)) for column in columns] for row in rows])
    return matrix, rows, columns


def _table(kind: str, order: str, cells: Cells) -> Table:
    matrix, rows, columns = _matrix(cells)
    down, along = LABELS[kind]
    body = [
        [f"{row:.3g}", *("–" if np.isnan(x) else f"{100 * x:.1f}" for x in line)]
        for row, line in zip(rows, matrix, strict=True)
    ]
    heading = f"Test accuracy in %, {ORDERS[order]}; columns: {along}"
    return Table(heading, [down, *(f"{column:.3g}" for column in columns)], body)


def _records(maps: dict[tuple[str, str], Cells]) -> list[dict[str, Any]]:
    return [
        {"axes": kind, "order": order, "row": row, "column": column, "accuracy": float(np.mean(found))}
        for (kind, order), cells in maps.items()
        for (row, column), found in cells.items()
    ]
