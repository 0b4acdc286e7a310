"""The plan of a run: which call each point stands for, and which points share a call."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datajuicer import keys
from datajuicer.errors import UsageError
from datajuicer.grids.points import Point
from datajuicer.running.cachable import Cachable
from datajuicer.running.code.provenance import Code
from datajuicer.running.identity import are_same, refuse_async
from datajuicer.running.messages import short_label
from datajuicer.running.parent import Parent, load_parents, parents_in
from datajuicer.store.store import Store
from datajuicer.store.values import describe
from datajuicer.template import format_template, get


@dataclass(slots=True)  # never changed; frozen, a tenth of planning would be spent on making them
class Call:
    """One call of a function, and the points (by index in the grid) that share its result.

    Attributes:
        key: the key of the result; None for a function that is not cachable: such calls are never shared.
        omitted: what tells the result from others of the same key, for its record; see `omitted`.
        replaces: what this call replaces, see `datajuicer.store.replacing`.
        code: the code behind the call: first where it was planned, then where it is made.
        described: what the record says of the arguments; made before the call, which may change them.
        parents: the points whose results the call needs.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    point: Point
    indices: tuple[int, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    dependencies: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    omitted: Mapping[str, Any] = field(default_factory=dict)
    replaces: str | None = None
    code: Code | None = None
    described: Mapping[str, Any] | None = None
    parents: tuple[Parent, ...] = ()

    @property
    def name(self) -> str:
        """The name of the function, as the store and the progress display show it."""
        if isinstance(self.function, Cachable):
            return self.function.table_name
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def id(self) -> str:
        """The key, or the first point's index for a function that is not cachable."""
        return self.key or f"point {self.indices[0]}"

    def with_parents(self, store: Store) -> Call:
        """Return the call with the results of its parents in its arguments.

        Raises:
            ParentMissing: one has no result.
        """
        if not self.parents:
            return self
        args, kwargs = load_parents(store, self.args), load_parents(store, self.kwargs)
        arguments = load_parents(store, self.arguments)
        return replace(self, args=args, kwargs=kwargs, arguments=arguments)

    def batch_id(self) -> str | None:
        """Batch id: calls with equal ids may be made as one; None if the call cannot be batched."""
        function = self.function
        if not isinstance(function, Cachable) or function.batched is None:
            return None
        shared = None if function.group is None else function.group(**self.arguments)
        return f"{self.name} {keys.digest(shared)}"


def plan(points: Sequence[Point], func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Call]:
    """Return the calls behind a grid, each once, ordered by the first point of each.

    Args:
        points: the grid.
        func: a function, or the key under which every point holds one.
        args: positional arguments; text is a template of each point.
        kwargs: keyword arguments, the same.

    Raises:
        UsageError: an argument, a template or a dependency does not work; the message names the point.
    """
    with keys.encoding_once():
        return _plan(points, func, args, kwargs)


def _plan(points: Sequence[Point], func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Call]:
    calls: list[Call] = []
    shared: dict[int, list[int]] = {}  # the indices of calls that several points share
    by_key: dict[tuple[str, str | None], tuple[int, ...]] = {}
    functions: dict[tuple[str, str], list[Cachable]] = {}
    checked: set[int] = set()
    for index, point in enumerate(points):
        try:
            call = _call(point, index, func, args, kwargs)
            if id(call.function) not in checked:
                _check_function(call.function, functions)
                checked.add(id(call.function))
        except UsageError as error:
            raise type(error)(f"point {index}{_hint(point)}: {error}") from error
        name = call.name, call.key
        same = () if call.key is None else by_key.get(name, ())
        for place in same:
            if _omit_the_same(calls[place], call):
                shared.setdefault(place, [*calls[place].indices]).append(index)
                break
        else:
            by_key[name] = *same, len(calls)
            calls.append(call)
    for place, indices in shared.items():
        calls[place] = replace(calls[place], indices=tuple(indices))
    return calls


def _omit_the_same(one: Call, other: Call) -> bool:
    """Whether two calls of one key, and their parents, are the same in what keys omit."""
    is_equal = one.omitted is other.omitted or repr(one.omitted) == repr(other.omitted)
    return is_equal and all(
        mine is theirs or _omit_the_same(mine.call, theirs.call)
        for mine, theirs in zip(one.parents, other.parents, strict=False)
    )


def _call(point: Point, index: int, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    function = get(point, func) if isinstance(func, str) else func
    if isinstance(function, types.MethodType) and isinstance(function.__func__, Cachable):
        function = function.__func__.__get__(function.__self__)  # a class method, since Python 3.13
    if not callable(function):
        raise UsageError(f"{func!r} is of type {type(function).__qualname__}, not a function")
    filled = tuple([format_template(point, a) if isinstance(a, str) else a for a in args])
    named = {n: format_template(point, a) if isinstance(a, str) else a for n, a in kwargs.items()}
    return make_call(function, filled, named, point, index)


def make_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    point: Point,
    index: int,
    keyed: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
) -> Call:
    """Return the call of one point, with the key of its result if the function is cachable.

    Args:
        function: a function, cachable or not.
        args: positional arguments, templates filled in.
        kwargs: keyword arguments, the same.
        point: the point.
        index: its place in the grid.
        keyed: the arguments that make the key, if they are others: with text that is no template.
    """
    if not isinstance(function, Cachable):
        refuse_async(function)
        return Call(function, args, kwargs, point, (index,), parents=parents_in(args, kwargs))
    arguments = function.bind(*(keyed or (args, kwargs)))
    if found := function.filled(arguments):  # the function sees what its key holds
        filled = {id(arguments[name]): value for name, value in found.items()}
        args = tuple([filled.get(id(value), value) for value in args])
        kwargs = {name: filled.get(id(value), value) for name, value in kwargs.items()}
        arguments = function.bind(args, kwargs)
    dependencies, key, omitted = _key(function, arguments)
    return Call(
        function, args, kwargs, point, (index,), arguments, dependencies, key, omitted,
        parents=parents_in(args, kwargs),
    )  # fmt: skip


def with_arguments(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return the call of a cachable function with other arguments, and the key that follows from them."""
    function = call.function
    assert isinstance(function, Cachable)
    made = make_call(function, args, kwargs, call.point, 0)
    return replace(made, indices=call.indices, replaces=call.replaces, code=call.code)


def _key(function: Cachable, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str, Mapping[str, Any]]:
    """Return the dependencies of a call, the key of its result, and what that key omits."""
    dependencies, defaults = function.dependencies_and_defaults(arguments)
    if function.holds_state:
        dependencies |= function.state()
    key, values = function.key_and_omitted(dependencies)
    omitted = function.omitted
    if defaults:
        omitted = {**omitted, "defaults": defaults}
    if values:
        described = {label: sorted(map(describe, found), key=repr) for label, found in sorted(values.items())}
        omitted = {**omitted, "values": described}
    return dependencies, key, omitted


def _check_function(function: Any, functions: dict[tuple[str, str], list[Cachable]]) -> None:
    """Refuse two functions in one plan whose results could not be told apart."""
    if not isinstance(function, Cachable):
        return
    known = functions.setdefault((function.table_name, repr(function.version)), [])
    for other in known:
        may_differ = not (function.is_named or other.is_named) and (
            function.identity != other.identity or keys.digest(function.state()) != keys.digest(other.state())
        )
        if not may_differ and not are_same(function.function, other.function):
            raise UsageError(
                f"two different functions are called {function.table_name}, and their results could not be "
                "told apart; give each a name of its own with cachable(table_name=…)"
            )
    known.append(function)


def batches(calls: Sequence[Call], size: int) -> Iterator[tuple[int, ...]]:
    """Yield the places of calls that are made as one: up to `size` with equal batch ids, all others alone."""
    groups: dict[str, list[int]] = {}
    for place, call in enumerate(calls):
        batch_id = call.batch_id() if size > 1 else None
        groups.setdefault(batch_id or f"alone {place}", []).append(place)
    for places in groups.values():
        for start in range(0, len(places), size):
            yield tuple(places[start : start + size])


def _hint(point: Point) -> str:
    return f" ({text})" if (text := short_label(point)) else ""
