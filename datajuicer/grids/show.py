"""How a grid looks in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

ROWS = 50  # that are shown of a long grid
WIDTH = 60  # characters that are shown of a value


def grid_html(grid: Sequence[Mapping[Any, Any]]) -> str:
    """A grid as an HTML table: one row a point, one column a key."""
    keys = list(dict.fromkeys(key for point in grid for key in point))
    head = "".join(f"<th>{escape(str(key))}</th>" for key in keys)
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(cell(point[key])) if key in point else ''}</td>" for key in keys)
        + "</tr>"
        for point in grid[:ROWS]
    ]
    more = f"<p>… and {len(grid) - ROWS} more points</p>" if len(grid) > ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def cell(value: Any) -> str:
    """A value in a few characters."""
    if hasattr(type(value), "shape") and hasattr(type(value), "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if callable(value):
        return f"{getattr(value, '__name__', type(value).__name__)}()"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
