"""The numbers behind lines as tables: a row for each x, a column for each line."""

from typing import Any

import numpy as np

from jaxrobust.figures.curves import Series
from jaxrobust.figures.tables import Table


def line_table(
    title: str, x: str, lines: Series, *, percent: bool = False, higher_is_better: bool = True, note: str = ""
) -> Table:
    """The mean of each line at each x and, where it stands for several values, their range; best mean bold.

    Args:
        title: The heading.
        x: What the rows are.
        lines: Values by label and x.
        percent: Write fractions as percent with two decimals; else four decimals.
        higher_is_better: Whether the largest mean is bold or the smallest.
        note: What stands below the table.
    """
    scale, digits = (100, 2) if percent else (1, 4)
    rows = []
    for place in sorted({place for values in lines.values() for place in values}):
        means = {label: np.mean(values[place]) for label, values in lines.items() if place in values}
        best = (max if higher_is_better else min)(means.values())
        cells = [f"{place:g}"]
        for label, values in lines.items():
            if label not in means:
                cells.append("–")
                continue
            number = f"{scale * means[label]:.{digits}f}"
            cell = f"**{number}**" if means[label] == best and len(means) > 1 else number
            low, high = min(values[place]), max(values[place])
            if len(values[place]) > 1:
                cell += f" [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
            cells.append(cell)
        rows.append(cells)
    return Table(title, [x, *lines], rows, note)


def line_records(panel: str, quantity: str, lines: Series) -> list[dict[str, Any]]:
    """The same numbers unrounded, one record for each line and x."""
    return [
        {
            "panel": panel,
            "quantity": quantity,
            "line": label,
            "x": place,
            "mean": float(np.mean(values[place])),
            "smallest": float(min(values[place])),
            "largest": float(max(values[place])),
            "n": len(values[place]),
        }
        for label, values in lines.items()
        for place in sorted(values)
    ]
