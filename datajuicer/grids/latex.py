"""Tables as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.points import Point
from datajuicer.grids.table import Table


def latex(
    grid: Sequence[Point],
    independent_keys: Sequence[Any],
    dependent_keys: Sequence[Any],
    label_dict: Mapping[Any, Any] | None = None,
    order: Mapping[Any, Sequence[Any]] | None = None,
    decimals: int = 2,
    bold_order: Sequence[Callable[[list[Any]], Any] | None] | None = None,
) -> str:
    """A LaTeX table (booktabs, graphicx): blocks, in each the methods as columns and the levels as rows.

    Args:
        grid: the points.
        independent_keys: keys (or a `Table.Deviation_Var`) for blocks, columns and rows, in this order; fewer
            are filled up from the front.
        dependent_keys: the statistics that stand in each column.
        label_dict: what to show for a key or a value.
        order: axis name → values or labels that come first.
        decimals: digits after the point.
        bold_order: for each statistic the function, such as `max`, that finds the best of a row; None: no
            best.

    Raises:
        UsageError: several points fall into one cell.
    """
    table = Table(grid, independent_keys, dependent_keys, label_dict or {}, 4, order or {})
    best = list(bold_order or [])
    best += [None] * (len(dependent_keys) - len(best))
    blocks, methods, rows, statistics = (range(n) for n in table.shape())
    width = len(statistics)
    lines = [
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(methods) * width}}}",
        r"\toprule",
    ]
    for block in blocks:
        if block:
            lines.append(r"\midrule")
        if label := table.get_label(0, block):
            lines.append(rf"\multicolumn{{{1 + len(methods) * width}}}{{l}}{{\textbf{{{escape(label)}}}}} \\")
        heads = [rf"\multicolumn{{{width}}}{{c}}{{{escape(table.get_label(1, m))}}}" for m in methods]
        lines.append(" & ".join([escape(table.get_label(2)), *heads]) + r" \\")
        if width > 1:
            names = [escape(table.get_label(3, s)) for s in statistics]
            lines.append(" & ".join(["", *(names * len(methods))]) + r" \\")
        lines.append(r"\midrule")
        for row in rows:
            cells = {(m, s): _only(table, block, m, row, s) for m in methods for s in statistics}
            if all(value is None for value in cells.values()):
                continue
            shown = [escape(table.get_label(2, row))]
            for m, s in product(methods, statistics):
                column = [cells[n, s] for n in methods if cells[n, s] is not None]
                function = best[s]
                bold = function is not None and cells[m, s] is not None and cells[m, s] == function(column)
                shown.append(_cell(cells[m, s], decimals, bold))
            lines.append(" & ".join(shown) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}"])


def _only(table: Table, *indices: int) -> Any:
    found = table.get_val(*indices)
    if found is None:
        return None
    if len(found) > 1:
        where = ", ".join(
            table.get_label(axis, i) for axis, i in enumerate(indices) if table.get_label(axis, i)
        )
        raise UsageError(
            f"{len(found)} points fall into the cell {where}; reduce them first with reduce_keys"
        )
    return found[0]


def _cell(value: Any, decimals: int, bold: bool) -> str:
    if value is None:
        return "--"
    is_number = hasattr(value, "__float__") and not isinstance(value, (bool, str))
    text = f"{float(value):.{decimals}f}" if is_number else escape(str(value))
    return rf"\textbf{{{text}}}" if bold else text


_ESCAPES = {c: rf"\{c}" for c in "_%&#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
}


def escape(text: str) -> str:
    """Text with the characters that LaTeX takes for commands made harmless; text in $…$ is left alone."""
    if text.count("$") == 2 and text[0] == text[-1] == "$":
        return text
    return "".join(_ESCAPES.get(char, char) for char in text)
