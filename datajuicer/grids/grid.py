"""Grids: lists of points, each a dict of settings and, later, of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from datajuicer.errors import MissingKey, UsageError
from datajuicer.grids.points import Point, as_points
from datajuicer.keys import identity
from datajuicer.template import drop, get, put

Where = Mapping[Any, Any] | Callable[[Point], Any] | None
Reduction = Callable[[list[Any]], Any] | Mapping[str, Callable[[list[Any]], Any]]


class Grid(list[Point]):
    """A list of points that a notebook shows as a table. It is a list: everything a list can do works."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Grid(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        from datajuicer.grids.show import grid_text

        return grid_text(self)

    def _repr_html_(self) -> str:
        from datajuicer.grids.show import grid_html

        return grid_html(self)


def split(grid: Any, key: Any, values: Iterable[Any], where: Where = None) -> Grid:
    """Make one copy of every point for each value of a key.

    Args:
        grid: the points.
        key: the key to set; `"opt.lr"` sets the entry of the dict `opt` where a point has one.
        values: its values, in order; all copies of a point stay together.
        where: which points (see `matches`); the others are copied through.
    """
    if isinstance(values, str):
        raise UsageError(f"split needs a list of values for {key!r}; write [{values!r}] for one text")
    values = list(values)
    found = Grid()
    for point in as_points(grid):
        found += [put(point, key, value) for value in values] if matches(point, where) else [dict(point)]
    return found


def configure(grid: Any, dictionary: Mapping[Any, Any], where: Where = None) -> Grid:
    """Set keys in every point, or in those that match.

    Args:
        grid: the points.
        dictionary: the keys and their values; text may be a template, functions may be called by templates.
        where: which points (see `matches`); the others are copied through.
    """
    if not isinstance(dictionary, Mapping):
        raise UsageError(f"configure needs a dict of keys and values, not {type(dictionary).__qualname__}")
    found = Grid()
    for point in as_points(grid):
        made = dict(point)
        for key, value in dictionary.items() if matches(point, where) else ():
            made = put(made, key, value)
        found.append(made)
    return found


def matches(point: Point, where: Where) -> bool:
    """Whether a point fits a condition.

    Args:
        point: the point.
        where: a function of the point; or a dict of keys and what their values must be: an equal value, or a
            predicate that returns True or False for it.

    Raises:
        MissingKey: the point lacks a key that the condition names.
        UsageError: a predicate returns neither True nor False.
    """
    if where is None:
        return True
    if callable(where):
        return bool(where(point))
    for key, wanted in where.items():
        value = get(point, key)
        if not (_equal(value, wanted) or (callable(wanted) and _holds(wanted, value, key))):
            return False
    return True


def _holds(predicate: Callable[[Any], Any], value: Any, key: Any) -> bool:
    """Whether a predicate holds; a function among functions is a value, which only equals itself."""
    try:
        result = predicate(value)
    except Exception:
        if callable(value):
            return False
        raise
    if isinstance(result, bool) or type(result).__name__ == "bool":  # numpy's too
        return bool(result)
    if callable(value):
        return False
    raise UsageError(
        f"the condition on {key!r} returned {result!r} for {value!r}; a predicate must return True or False"
    )


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except ValueError:  # arrays compare element by element
        return identity(one) == identity(other)


def query(
    grid: Any,
    select: Any,
    where: Where = None,
    group_by: Any = (),
    reduction: Reduction | None = None,
    return_func: bool = False,
    flatten_reductions: bool = False,
) -> Any:
    """Values out of a grid.

    Args:
        grid: the points.
        select: a key; a list of keys; `"*"` for whole points; or a function of the point.
        where: which points (see `matches`).
        group_by: a key or keys: values are collected for each combination of their values.
        reduction: a function of the list of values of a group, or a dict of names and such functions, which
            gives a dict for each key.
        return_func: with `group_by`: return a function from group to result instead.
        flatten_reductions: with a list of keys and a dict of reductions: one dict `key_name` instead of a
            list of dicts.

    Returns:
        Without `group_by` the result itself, a list of values unless reduced (for a list of keys: a list of
        these). With `group_by` the list of groups, in order of appearance, and the list of their results; a
        group is a value, or a tuple of values if `group_by` is a list.
    """
    points = [point for point in as_points(grid) if matches(point, where)]
    if not isinstance(group_by, (str, int)) and not group_by:
        return _selected(points, select, reduction, flatten_reductions)
    groups = _groups(points, group_by)
    names = [name for name, _ in groups]
    results = [_selected(members, select, reduction, flatten_reductions) for _, members in groups]
    if not return_func:
        return names, results
    table = {identity(name): result for name, result in zip(names, results, strict=True)}

    def look_up(group: Any) -> Any:
        found = table.get(identity(group), table)
        if found is table:
            raise MissingKey(f"there is no group {group!r} (groups: {', '.join(map(repr, names)) or 'none'})")
        return found

    return look_up


def _groups(points: Sequence[Point], group_by: Any) -> list[tuple[Any, list[Point]]]:
    single = isinstance(group_by, (str, int))
    groups: dict[str, tuple[Any, list[Point]]] = {}
    for point in points:
        name = get(point, group_by) if single else tuple(get(point, key) for key in group_by)
        groups.setdefault(identity(name), (name, []))[1].append(point)
    return list(groups.values())


def _selected(points: Sequence[Point], select: Any, reduction: Reduction | None, flatten: bool) -> Any:
    if isinstance(select, (list, tuple)):
        reduced = [_reduced([get(p, key) for p in points], reduction) for key in select]
        if flatten and isinstance(reduction, Mapping):
            return {
                f"{k}_{name}": value
                for k, r in zip(select, reduced, strict=True)
                for name, value in r.items()
            }
        return reduced
    if isinstance(select, str) and select == "*":
        return _reduced(list(points), reduction)
    if callable(select):
        return _reduced([select(p) for p in points], reduction)
    return _reduced([get(p, select) for p in points], reduction)


def _reduced(values: list[Any], reduction: Reduction | None) -> Any:
    if reduction is None:
        return values
    if isinstance(reduction, Mapping):
        return {name: function(values) for name, function in reduction.items()}
    return reduction(values)


def reduce_keys(
    grid: Any, keys: Any, reduction: Reduction, where: Where = None, group_by: Any = None
) -> Grid:
    """One point for each group, with the values of some keys reduced to one.

    Args:
        grid: the points.
        keys: the key or keys to reduce.
        reduction: a function of the list of values; or a dict of names and functions, which makes keys
            `key_name`.
        where: which points (see `matches`); the others are left out.
        group_by: the keys that make a group, and stay; default: all the others.
    """
    keys = [keys] if isinstance(keys, (str, int)) else list(keys)
    points = [point for point in as_points(grid) if matches(point, where)]
    if group_by is None:
        grouped: dict[str, tuple[dict[Any, Any], list[Point]]] = {}
        for point in points:
            rest: dict[Any, Any] = dict(point)
            for key in keys:
                rest = drop(rest, key)
            resolved = {key: get(point, key) if key in point else value for key, value in rest.items()}
            resolved |= {key: rest[key] for key in rest if isinstance(rest[key], Mapping)}
            grouped.setdefault(identity(resolved), (resolved, []))[1].append(point)
        groups = list(grouped.values())
    else:
        group_keys = [group_by] if isinstance(group_by, (str, int)) else list(group_by)
        groups = [(dict(zip(group_keys, n, strict=True)), m) for n, m in _groups(points, group_keys)]
    found = Grid()
    for shared, members in groups:
        point = dict(shared)
        for key in keys:
            reduced = _reduced([get(member, key) for member in members], reduction)
            if isinstance(reduction, Mapping):
                point |= {f"{key}_{name}": value for name, value in reduced.items()}
            else:
                point = put(point, key, reduced)
        found.append(point)
    return found


def make_unique(grid: Any) -> Grid:
    """The points without repetitions, the first of each kept, in order.

    Two points are equal if all their keys and values are, typed as in keys (1 is not 1.0). Functions are
    equal if they have the same name, the same code and close over equal values, so that points built twice
    are found.
    """
    found: dict[str, Point] = {}
    for point in as_points(grid):
        found.setdefault(identity(dict(point)), dict(point))
    return Grid(found.values())
