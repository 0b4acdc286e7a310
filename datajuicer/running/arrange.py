"""What a run returns: values in the order of the grid, or the points with their values."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import Point
from datajuicer.keys import digest
from datajuicer.template import Literal, put


def arrange(
    points: Sequence[Point], values: Mapping[int, Any], store_key: str | None, *, leave_out: bool = False
) -> Any:
    """Return the values in the order of the grid; None, or nothing with `leave_out`, where there is none.

    Args:
        points: the grid.
        values: the values by index.
        store_key: None: return the values; otherwise the points with the value, as for `run`.
        leave_out: whether to leave out points without a value.

    Raises:
        UsageError: a value cannot be merged into its point.
    """
    kept = [index for index in range(len(points)) if index in values or not leave_out]
    if store_key is None:
        return [values.get(index) for index in kept]
    merged: list[Any] = [
        _merge(points[index], values[index], store_key) if index in values else None for index in kept
    ]
    return Grid(merged)


def _merge(point: Point, value: Any, store_key: str) -> Point:
    if store_key != "*":
        return put(point, store_key, as_data(value))
    if not isinstance(value, Mapping):
        raise UsageError(
            f'store_key="*" merges a dict into the point, but the result is {type(value).__qualname__}'
        )
    for name in point.keys() & value.keys():
        if _are_other(point[name], value[name]):
            raise UsageError(
                f'store_key="*" would overwrite {name!r}: the point has {reprlib.repr(point[name])}, '
                f"the result {reprlib.repr(value[name])}; give store_key a name, or leave {name!r} out of "
                "the point"
            )
    return {**point, **{k: as_data(v) for k, v in value.items()}}


def _are_other(one: Any, other: Any) -> bool:
    """Whether two values are known to differ; typed as in keys."""
    try:
        return digest(one) != digest(other)
    except UsageError:
        return False


def as_data(value: Any) -> Any:
    """Return a value whose text is data at any depth: templates in it are never resolved."""
    kind = type(value)
    if kind is str:
        return Literal(value) if "{" in value or "}" in value else value
    if kind is dict:
        return {key: as_data(inner) for key, inner in value.items()}
    if kind is list or kind is tuple:
        return kind(map(as_data, value))
    return value
