"""The plan of a run: which call each point stands for, and which calls are the same computation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datajuicer import keys
from datajuicer.errors import UsageError
from datajuicer.grids.points import Point
from datajuicer.running.cachable import Cachable
from datajuicer.template import format_template, get

# Longer values, such as 0.7538461685180664 or a digest, were computed; they do not tell which point it is.
MOST_TYPED = 16


@dataclass(slots=True)
class Item:
    """One computation: a function, its arguments, and the points (by place in the grid) that want its result.

    `key` is None for a function that is not cachable; such calls are never shared.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    point: Point
    indices: list[int] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    dependencies: dict[str, Any] = field(default_factory=dict)
    key: str | None = None

    @property
    def name(self) -> str:
        """The name of the function, as the store and the progress display show it."""
        if isinstance(self.function, Cachable):
            return self.function.table_name
        return getattr(self.function, "__name__", type(self.function).__name__)

    def group(self) -> str | None:
        """What decides with which others it may be computed in one call; None: with nobody."""
        function = self.function
        if not isinstance(function, Cachable) or function.batched is None:
            return None
        shared = None if function.group is None else function.group(**self.arguments)
        return f"{self.name} {keys.digest(shared)}"


def plan(points: Sequence[Point], func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Item]:
    """The computations behind a grid, each once, in the order in which the points first want them.

    Args:
        points: the grid.
        func: a function, or the key under which every point holds one.
        args: positional arguments; text is a template of each point.
        kwargs: keyword arguments, the same.

    Raises:
        UsageError: an argument, a template or a dependency does not work; the message names the point.
    """
    items: list[Item] = []
    by_key: dict[tuple[str, str], Item] = {}
    for index, point in enumerate(points):
        try:
            item = _item(point, func, args, kwargs)
        except UsageError as error:
            raise type(error)(f"point {index}{_hint(point)}: {error}") from error
        if item.key is not None:
            item = by_key.setdefault((item.name, item.key), item)
        if not item.indices:
            items.append(item)
        item.indices.append(index)
    return items


def _item(point: Point, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Item:
    function = get(point, func) if isinstance(func, str) else func
    if not callable(function):
        raise UsageError(f"{func!r} is of type {type(function).__qualname__}, not a function")
    item = Item(
        function,
        tuple([format_template(point, a) if isinstance(a, str) else a for a in args]),
        {n: format_template(point, a) if isinstance(a, str) else a for n, a in kwargs.items()},
        point,
    )
    if isinstance(function, Cachable):
        complete(item, function)
    return item


def complete(item: Item, function: Cachable) -> None:
    """Bind the arguments and find the key."""
    item.arguments = function.bind(item.args, item.kwargs)
    item.dependencies = function.dependency_values(item.arguments)
    item.key = function.key(item.dependencies)


def telling_keys(points: Sequence[Mapping[Any, Any]]) -> tuple[Any, ...]:
    """The keys whose values set the points of a grid apart: names first, then those with the most values."""
    seen: dict[Any, set[str]] = {}
    names: set[Any] = set()
    for point in points:
        for key, value in point.items():
            if _is_plain(value) and len(repr(value)) <= MOST_TYPED:
                if isinstance(value, str):
                    names.add(key)
                seen.setdefault(key, set()).add(repr(value))
    apart = [key for key, values in seen.items() if len(values) > 1]
    # Of equally telling keys those that were set last come first: people set what they compare last.
    apart.reverse()
    return tuple(sorted(apart, key=lambda key: (key not in names, -len(seen[key]))))


def brief(point: Mapping[Any, Any], limit: int = 100, keys: Sequence[Any] = ()) -> str:
    """A point in one short line: its plain values, or only those under `keys` if it has any."""
    plain = {key: value for key, value in point.items() if _is_plain(value)}
    told = {key: plain[key] for key in keys if key in plain} or plain
    text = ", ".join(f"{key}={value!r}" for key, value in told.items())
    return text if len(text) <= limit else text[:limit].rpartition(",")[0] + ", …"


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str | tuple) and len(repr(value)) < 40


def _hint(point: Point) -> str:
    return f" ({text})" if (text := brief(point)) else ""
