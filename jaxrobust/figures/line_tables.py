"""The numbers behind lines as tables: one row per x, one column per line."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxrobust.figures.series import Series
from jaxrobust.figures.tables import Numbers, Table


@dataclass(frozen=True)
class LineTable:
    """The lines of one panel as a table.

    Attributes:
        panel: Title of the panel.
        x: What the rows are.
        quantity: What was measured.
        lines: Values by label and x.
        heading: Of the table; None: the panel's title.
        percent: Whether fractions are written as percent with two decimals; else four decimals.
        higher_is_better: Whether the largest mean is bold or the smallest.
        note: Stands below the table.
    """

    panel: str
    x: str
    quantity: str
    lines: Series
    heading: str | None = None
    percent: bool = True
    higher_is_better: bool = True
    note: str = ""

    def table(self) -> Table:
        """Return the mean of each line at each x, best mean bold, and the range of several values."""
        scale, digits = (100, 2) if self.percent else (1, 4)
        rows = []
        for place in sorted({place for values in self.lines.values() for place in values}):
            means = {label: np.mean(values[place]) for label, values in self.lines.items() if place in values}
            best = (max if self.higher_is_better else min)(means.values())
            cells = [f"{place:g}"]
            for label, values in self.lines.items():
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
        heading = self.panel if self.heading is None else self.heading
        return Table(heading, [self.x, *self.lines], rows, self.note)

    def records(self) -> list[dict[str, Any]]:
        """Return the same numbers unrounded, one record per line and x."""
        return [
            {
                "panel": self.panel,
                "quantity": self.quantity,
                "line": label,
                "x": place,
                "mean": float(np.mean(values[place])),
                "smallest": float(min(values[place])),
                "largest": float(max(values[place])),
                "n": len(values[place]),
            }
            for label, values in self.lines.items()
            for place in sorted(values)
        ]


def line_numbers(explanation: str, tables: Iterable[LineTable]) -> Numbers:
    """Collect the tables and records of all lines of a figure."""
    tables = list(tables)
    records = [record for table in tables for record in table.records()]
    return Numbers([table.table() for table in tables], records, explanation)
