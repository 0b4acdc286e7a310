"""Tables: grids seen along axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.points import Point, as_points
from datajuicer.keys import identity
from datajuicer.template import get

STANDARD = "Standard"


@dataclass(frozen=True)
class DeviationVar:
    """An axis that names each point by what differs from a default: "Label = value, …", or "Standard"."""

    default: Mapping[str, Any]
    label: str = "Method"

    def name(self, point: Point, labels: Mapping[Any, Any]) -> str:
        """The name of a point on this axis."""
        deviating = [
            key for key, usual in self.default.items() if identity(get(point, key)) != identity(usual)
        ]
        return ", ".join(f"{labels.get(key, key)} = {get(point, key)}" for key in deviating) or STANDARD


@dataclass(frozen=True)
class Axis:
    """One axis of a table: its name and its values in order."""

    name: Any
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A grid seen along axes: one for each independent key, and last one for the dependent keys.

    Args:
        grid: the points.
        independent_keys: the keys that make the axes; one may be a `Table.Deviation_Var`.
        dependent_keys: the keys whose values stand in the cells.
        label_dict: what to show for a key or a value.
        dim: the number of axes, the last one included: missing ones of length 1 are put in front, surplus
            ones in front are merged into one.
        order: axis name → values or labels that come first, in this order.
    """

    grid: Sequence[Point]
    independent_keys: Sequence[Any]
    dependent_keys: Sequence[Any]
    label_dict: Mapping[Any, Any] = field(default_factory=dict)
    dim: int | None = None
    order: Mapping[Any, Sequence[Any]] = field(default_factory=dict)
    axes: tuple[Axis, ...] = field(init=False)
    _cells: dict[tuple[str, ...], list[Point]] = field(init=False, repr=False)

    Deviation_Var = DeviationVar

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", as_points(self.grid))
        keys = list(self.independent_keys)
        merged = 0
        if self.dim is not None:
            if self.dim < 1 + bool(keys):
                raise UsageError(f"dim={self.dim} leaves no axis for the keys {keys}; it must be at least 2")
            merged = max(0, len(keys) + 1 - self.dim)
        columns = [[self._value(point, key) for point in self.grid] for key in keys]
        names = [self._axis_name(key) for key in keys]
        axes = [Axis(n, self._ordered(n, column)) for n, column in zip(names, columns, strict=True)]
        if merged:
            front = list(zip(*columns[: merged + 1], strict=True))
            present = {identity(one) for one in front}
            combined = (
                one for one in product(*(a.values for a in axes[: merged + 1])) if identity(one) in present
            )
            axes[: merged + 1] = [Axis(tuple(names[: merged + 1]), tuple(combined))]
            columns[: merged + 1] = [front]
        padding = max(0, (self.dim or 0) - len(axes) - 1)
        axes = [Axis("", ("",))] * padding + axes + [Axis("", tuple(self.dependent_keys))]
        cells: dict[tuple[str, ...], list[Point]] = {}
        for place, point in enumerate(self.grid):
            where = tuple([identity("")] * padding + [identity(column[place]) for column in columns])
            cells.setdefault(where, []).append(point)
        object.__setattr__(self, "axes", tuple(axes))
        object.__setattr__(self, "_cells", cells)

    def _value(self, point: Point, key: Any) -> Any:
        return key.name(point, self.label_dict) if isinstance(key, DeviationVar) else get(point, key)

    def _axis_name(self, key: Any) -> Any:
        return key.label if isinstance(key, DeviationVar) else key

    def _ordered(self, name: Any, column: Iterable[Any]) -> tuple[Any, ...]:
        unique = list({identity(value): value for value in column}.values())
        with suppress(TypeError, ValueError):  # values without an order stay in that of the grid
            unique = sorted(unique)
        first = list(self.order.get(name, ()))
        rank = {identity(value): place for place, value in enumerate(first)}

        def place(value: Any) -> int:
            return min(
                rank.get(identity(value), len(first)), rank.get(identity(self._label(value)), len(first))
            )

        return tuple(sorted(unique, key=place))

    def shape(self) -> tuple[int, ...]:
        """The length of each axis; the last is that of the dependent keys."""
        return tuple(len(axis.values) for axis in self.axes)

    def get_val(self, *indices: int) -> list[Any] | None:
        """The values in a cell, one for each point that falls into it, or None if none does.

        Args:
            indices: a place on every axis.
        """
        if len(indices) != len(self.axes):
            raise UsageError(f"get_val needs {len(self.axes)} indices, one for each axis, not {len(indices)}")
        where = tuple(identity(a.values[i]) for a, i in zip(self.axes[:-1], indices[:-1], strict=True))
        points = self._cells.get(where)
        key = self.axes[-1].values[indices[-1]]
        return None if points is None else [get(point, key) for point in points]

    def get_label(self, axis: int, index: int | None = None) -> str:
        """What to show for an axis, or for a value on it."""
        found = self.axes[axis]
        return self._label(found.name if index is None else found.values[index])

    def _label(self, value: Any) -> str:
        if isinstance(value, tuple):
            return ", ".join(map(self._label, value))
        try:
            return str(self.label_dict.get(value, value))
        except TypeError:  # an unhashable value has no label of its own
            return str(value)
