"""The numbers behind lines as tables: one row per x, one column per line."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxrobust.figures.series import Series
from jaxrobust.figures.tables import Numbers, Table

BOLD = (
    "Bold where the best mean is ahead of all others by more than the standard error of the difference; "
    "a single value has none."
)


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
        higher_is_better: Whether the largest mean is the best or the smallest; ``clear_best`` says when it
            is bold.
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
        """Return the mean of each line at each x, a clear best bold, and the range of several values."""
        scale, digits = (100, 2) if self.percent else (1, 4)
        rows = []
        for place in sorted({place for values in self.lines.values() for place in values}):
            here = {label: values[place] for label, values in self.lines.items() if place in values}
            best = clear_best(here, higher_is_better=self.higher_is_better)
            cells = [f"{place:g}"]
            for label, values in self.lines.items():
                if label not in here:
                    cells.append("–")
                    continue
                number = f"{scale * np.mean(values[place]):.{digits}f}"
                cell = f"**{number}**" if label == best else number
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


def clear_best(values: Mapping[str, Sequence[float]], *, higher_is_better: bool = True) -> str | None:
    """Return the label whose mean is ahead of all others by more than the standard error of the difference.

    None where there is no such label: values of one network know no error, and nothing leads alone.

    Example:
        >>> clear_best({"a": [0.8, 0.82], "b": [0.7, 0.71]}), clear_best({"a": [0.8], "b": [0.7]})
        ('a', None)
    """
    sign = 1 if higher_is_better else -1
    best = max(values, key=lambda label: sign * np.mean(values[label]))
    rivals = [label for label in values if label != best]
    leads = all(_is_ahead(sign * np.asarray(values[best]), sign * np.asarray(values[r])) for r in rivals)
    return best if rivals and leads else None


def _is_ahead(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if min(len(ours), len(theirs)) < 2:
        return False
    error = math.sqrt(sum(np.var(values, ddof=1) / len(values) for values in (ours, theirs)))
    return bool(ours.mean() - theirs.mean() > error)


def line_numbers(explanation: str, tables: Iterable[LineTable]) -> Numbers:
    """Collect the tables and records of all lines of a figure; the explanation says what bold means."""
    tables = list(tables)
    records = [record for table in tables for record in table.records()]
    shown = [table.table() for table in tables]
    is_bold = any("**" in cell for table in shown for row in table.rows for cell in row)
    return Numbers(shown, records, f"{explanation} {BOLD}" if is_bold else explanation)
