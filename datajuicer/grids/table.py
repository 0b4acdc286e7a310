"""Tables: grids seen along axes, as LaTeX, and as data frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.points import Point, as_points
from datajuicer.keys import identity
from datajuicer.store import codecs, values
from datajuicer.store.record import made_with
from datajuicer.store.store import Store
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


def to_dataframe(source: Any) -> Any:
    """A pandas data frame of a grid, or of all results of a function in a store.

    Args:
        source: a grid: one row a point; or the folder of a function, such as `"sessions/train"`: one row a
            result, with its dependencies under their names, its value under `value` (a dict: one column
            `value.name` for each entry) and `key`, `started`, `seconds`, `version` and `code`, which is
            different for results that were made with different code. A dependency of one of these names
            stands under `dependency.name`. Arrays are told by dtype and shape, what a saver wrote by
            its files' names; neither is loaded.

    Raises:
        UsageError: there is no such folder.
    """
    import pandas as pd

    if not isinstance(source, (str, os.PathLike)):
        return pd.DataFrame(as_points(source))
    folder = Path(source)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; name that of a function, such as 'sessions/train'")
    columns: dict[str, list[Any]] = {}
    for count, record in enumerate(Store(folder.parent).records(folder.name)):
        row = {"key": record["key"]}
        for name, dependency in record["dependencies"].items():
            row[f"dependency.{name}" if name in _OWN_COLUMNS else name] = _plain(dependency)
        value = record["value"]
        if type(value) is dict and not (len(value) == 1 and next(iter(value)).startswith("$")):
            for name, inner in value.items():
                row[f"value.{name}"] = _plain(inner)
        else:
            row["value"] = _plain(value)
        row["started"], row["seconds"] = record["started"], record["seconds"]
        row["version"], row["code"] = _plain(record["version"]), made_with(record)
        for name, cell in row.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [None] * count
            column.append(cell)
        for column in columns.values():
            if len(column) <= count:
                column.append(None)
    return pd.DataFrame(columns)


_OWN_COLUMNS = ("key", "value", "started", "seconds", "version", "code")


def _plain(tree: Any) -> Any:
    if type(tree) is not dict and type(tree) is not list:
        return tree
    return values.decode(_without_files(tree), {}, values.Artifact)


def _without_files(tree: Any) -> Any:
    """A tree in which text stands for arrays and for what a saver wrote."""
    if type(tree) is list:
        return [_without_files(item) for item in tree]
    if type(tree) is not dict:
        return tree
    if len(tree) == 1 and "$array" in tree:
        _, dtype, shape = tree["$array"]
        return f"{dtype}{shape}"
    if len(tree) == 1 and "$value" in tree and (shown := codecs.summary(*tree["$value"])) != tree:
        return _without_files(shown)
    if len(tree) == 1 and "$files" in tree:
        return ", ".join(tree["$files"]["files"])
    return {name: _without_files(inner) for name, inner in tree.items()}
