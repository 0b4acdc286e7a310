"""Points: dicts of settings and, later, of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datajuicer.errors import UsageError

Point = dict[Any, Any]


def as_points(grid: Any) -> list[Point]:
    """The points of a grid; a single dict is a grid of one."""
    points = [grid] if isinstance(grid, Mapping) else grid
    if not isinstance(points, Sequence) or isinstance(points, str):
        raise UsageError(f"a grid is a list of dicts, not {type(grid).__qualname__}")
    for index, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise UsageError(f"point {index} of the grid is of type {type(point).__qualname__}, not a dict")
    return list(points)  # type: ignore[arg-type]
