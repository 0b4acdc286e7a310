"""What is there and what is not, without computing anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.plan import Call, plan
from datajuicer.running.states import State
from datajuicer.store import claims
from datajuicer.store.record import Record
from datajuicer.store.store import Store


@dataclass(frozen=True)
class Status:
    """The points of a grid by state."""

    done: Grid = field(default_factory=Grid)
    failed: Grid = field(default_factory=Grid)
    running: Grid = field(default_factory=Grid)
    missing: Grid = field(default_factory=Grid)
    waiting: Grid = field(default_factory=Grid)  # for parents without a result

    def __str__(self) -> str:
        return (
            f"{len(self.done)} done, {len(self.failed)} failed, {len(self.running)} running, "
            f"{len(self.missing)} missing" + (f", {len(self.waiting)} waiting" if self.waiting else "")
        )

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>"


def status(grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions") -> Callable[..., Status]:
    """Return which points of a run are done, failed, running (here or elsewhere) or missing.

    Called like `run`: `status(grid, func)(*args, **kwargs)`.

    Args:
        grid: as for `run`.
        func: as for `run`; it must be cachable.
        cache_dir: the folder of the store.
    """

    def report(*args: Any, **kwargs: Any) -> Status:
        points = as_points(grid)
        calls = plan(points, func, args, kwargs)
        found: dict[int, State] = {}
        for call, state in zip(calls, states_of(Store(cache_dir), calls), strict=True):
            found |= dict.fromkeys(call.indices, state)
        shown = (State.DONE, State.FAILED, State.RUNNING, State.MISSING, State.WAITING)
        grids = {state: Grid() for state in shown}
        for index, point in enumerate(points):
            grids[found[index]].append(point)
        return Status(**{state.value: points for state, points in grids.items()})

    return report


def states_of(store: Store, calls: Sequence[Call]) -> list[State]:
    """Return the state of each call: done, failed, running, missing, or waiting for parents without a result.

    Raises:
        UsageError: a function is not cachable.
    """
    named: dict[str, dict[str, str]] = {}  # by function: the outcomes that file names show
    states: list[State] = []
    for call in calls:
        if not isinstance(call.function, Cachable) or call.key is None:
            raise UsageError(
                f"{call.name} is not cachable, so there is no record of what is done; add @dj.cachable()"
            )
        state = _named_state(store, call.function, call.key, named)
        if state is State.MISSING and any(
            _named_state(store, parent.function, parent.key, named) is not State.DONE
            for parent in call.parents
        ):
            state = State.WAITING
        states.append(state)
    return states


def _named_state(store: Store, function: Cachable, key: str, named: dict[str, dict[str, str]]) -> State:
    if function.table_name not in named:
        named[function.table_name] = store.outcomes(function.table_name)
    return _state(store, function, key, named[function.table_name].get(key, "missing"))


def _state(store: Store, function: Cachable, key: str, named: str) -> State:
    name = function.table_name
    if named == "done":
        if function.checker is None and function.on_code_change != "recompute":
            return State.DONE
        record = store.read(name, key)
        return State.DONE if record is not None and is_current(store, function, record) else State.MISSING
    if named == "claimed" and claims.is_claimed(store, name, key):
        return State.RUNNING
    failed = named == "failed" or (named == "claimed" and store.path(name, key, "failed").exists())
    return State.FAILED if failed else State.MISSING


def is_current(store: Store, function: Cachable, record: Record, *, recompute: bool = True) -> bool:
    """Whether a stored result is valid: its checker accepts its files and its code is current enough."""
    folder = store.folder_of(record)
    if function.checker is not None and not function.checker(folder):
        return False
    return not (recompute and function.on_code_change == "recompute" and code_differs(function, record))


def code_differs(function: Cachable, record: Record) -> bool:
    """Whether a result was computed by other source code, as far as both are known."""
    return bool(record.get("code") and function.code and record["code"] != function.code)


def missing(grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions") -> Callable[..., Grid]:
    """Return the points without a result that no process computes now; called like `status`."""
    return lambda *args, **kwargs: status(grid, func, cache_dir)(*args, **kwargs).missing
