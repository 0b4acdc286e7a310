"""How a grid looks in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from datajuicer.keys import identity

ROWS = 50  # that are shown of a long grid
WIDTH = 60  # characters that are shown of a value
TEXT = 2000  # characters of a grid that is still shown as the list that it is
ENTRIES = 500  # and entries of its points


def grid_html(grid: Sequence[Mapping[Any, Any]]) -> str:
    """A grid as an HTML table: one row a point, one column a key that differs; what all share is folded."""
    different, same = divided_keys(grid)
    head = "".join(f"<th>{escape(str(key))}</th>" for key in different)
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(cell(point[key])) if key in point else ''}</td>" for key in different)
        + "</tr>"
        for point in grid[:ROWS]
    ]
    more = f"<p>… and {len(grid) - ROWS} more points</p>" if len(grid) > ROWS else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"
    if not same:
        return table if different else f"<p>{_n_points(grid)}</p>"
    shared = escape(", ".join(f"{key}={cell(grid[0][key])}" for key in same))
    what = f"{_n_points(grid)}, the same in all of them: {len(same)} of {len(same) + len(different)} keys"
    return (
        f"{table if different else ''}<details{'' if different else ' open'}><summary>{what}</summary>"
        f"{shared}</details>"
    )


def grid_text(grid: Sequence[Mapping[Any, Any]]) -> str:
    """A grid as text: the list itself if that is short, else what differs in it and how much is the same."""
    if sum(map(len, grid)) <= ENTRIES and len(text := list.__repr__(list(grid))) <= TEXT:
        return text
    different, same = divided_keys(grid)
    shown = ", ".join(str(key) for key in different) or "nothing"
    return f"<Grid of {_n_points(grid)}: {shown} differ; {len(same)} keys are the same>"


def divided_keys(grid: Sequence[Mapping[Any, Any]]) -> tuple[list[Any], list[Any]]:
    """The keys in which points differ, and those that are the same in all, each in their order."""
    keys = list(dict.fromkeys(key for point in grid for key in point))
    same = [key for key in keys if all(key in point for point in grid) and _is_constant(grid, key)]
    return [key for key in keys if key not in same], same


def _is_constant(grid: Sequence[Mapping[Any, Any]], key: Any) -> bool:
    first = grid[0][key]
    return all(point[key] is first or _are_equal(point[key], first) for point in grid)


def _are_equal(one: Any, other: Any) -> bool:
    """Whether two values are known to be equal: what looks alike in a cell may still differ."""
    if cell(one) != cell(other):
        return False
    try:
        return identity(one) == identity(other)
    except Exception:  # of a value that has no key
        return False


def _n_points(grid: Sequence[Mapping[Any, Any]]) -> str:
    return f"{len(grid)} point{'s' if len(grid) != 1 else ''}"


def cell(value: Any) -> str:
    """A value in a few characters."""
    if hasattr(type(value), "shape") and hasattr(type(value), "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if callable(value):
        return f"{getattr(value, '__name__', type(value).__name__)}()"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
