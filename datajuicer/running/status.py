"""What is there and what is not, without computing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.code.provenance import EARLIER, Codes
from datajuicer.running.parent import Parent
from datajuicer.running.plan import Call, plan
from datajuicer.running.settling import settle_all
from datajuicer.running.states import State
from datajuicer.store import claims
from datajuicer.store.listing import Listing
from datajuicer.store.record import Record
from datajuicer.store.store import Store, StoreLike


@dataclass(frozen=True)
class Status:
    """The points of a grid by state.

    Attributes:
        done: they have a result.
        failed: their failure is recorded.
        running: a process computes them now, here or elsewhere.
        missing: none of these.
        earlier: those of `done` whose result was made by earlier code, or by code that is not known.
    """

    done: Grid = field(default_factory=Grid)
    failed: Grid = field(default_factory=Grid)
    running: Grid = field(default_factory=Grid)
    missing: Grid = field(default_factory=Grid)
    waiting: Grid = field(default_factory=Grid)  # for parents without a result
    earlier: Grid = field(default_factory=Grid)

    def __str__(self) -> str:
        earlier = f" ({len(self.earlier)} {EARLIER})" if self.earlier else ""
        return (
            f"{len(self.done)} done{earlier}, {len(self.failed)} failed, {len(self.running)} running, "
            f"{len(self.missing)} missing" + (f", {len(self.waiting)} waiting" if self.waiting else "")
        )

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>"


def status(grid: Any, func: Any, cache_dir: StoreLike | None = None) -> Callable[..., Status]:
    """Return which points of a run are done, failed, running (here or elsewhere) or missing.

    Called like `run`: `status(grid, func)(*args, **kwargs)`.

    Args:
        grid: as for `run`.
        func: as for `run`; it must be cachable.
        cache_dir: the store, or its folder; default: `sessions/`.
    """

    def report(*args: Any, **kwargs: Any) -> Status:
        store, points = Store(cache_dir), as_points(grid)
        listing = Listing(store.outcomes)
        calls = settle_all(store, plan(points, func, args, kwargs), listing)
        found: dict[int, State] = {}
        states = states_of(store, calls, listing)
        for call, state in zip(calls, states, strict=True):
            found |= dict.fromkeys(call.indices, state)
        shown = (State.DONE, State.FAILED, State.RUNNING, State.MISSING, State.WAITING)
        grids = {state: Grid() for state in shown}
        for index, point in enumerate(points):
            grids[found[index]].append(point)
        earlier = made_earlier(store, calls, states)
        indices = sorted(index for call in earlier for index in call.indices)
        by_state = {state.value: points for state, points in grids.items()}
        return Status(**by_state, earlier=Grid(points[index] for index in indices))

    return report


def made_earlier(store: Store, calls: Sequence[Call], states: Sequence[State]) -> list[Call]:
    """Return the calls whose result was made by earlier code, or by code that is not known."""
    codes, found = Codes(), []
    for call, state in zip(calls, states, strict=True):
        function = call.function
        assert isinstance(function, Cachable)
        if state is not State.DONE or function.on_code_change == "ignore":
            continue
        data = store.peek(call.name, call.id)
        is_known = data is not None and b'\n"reached": ' in data
        if is_known and codes.of(function, call.arguments).lines in (data or b""):
            continue  # as most records say; reading all of them whole would take twice as long
        record = store.read(call.name, call.id)
        if record is not None and codes.is_earlier(function, call.arguments, record):
            found.append(call)
    return found


def states_of(store: Store, calls: Sequence[Call], listing: Listing) -> list[State]:
    """Return the state of each call: done, failed, running, missing, or waiting for parents without a result.

    Raises:
        UsageError: a function is not cachable.
    """
    states: list[State] = []
    codes = Codes()
    for call in calls:
        if not isinstance(call.function, Cachable) or call.key is None:
            raise UsageError(
                f"{call.name} is not cachable, so there is no record of what is done; add @dj.cachable()"
            )
        outcome = listing.outcome(call.name, call.key)
        state = _state(store, call.function, call.key, call.arguments, outcome, codes)
        if state is State.MISSING and any(_unfinished(store, call.parents, listing, codes)):
            state = State.WAITING
        states.append(state)
    return states


def unfinished_parents(store: Store, call: Call) -> tuple[Parent, ...]:
    """Return the parents of a call that have no result."""
    return tuple(_unfinished(store, call.parents, Listing(store.outcomes), Codes()))


def _unfinished(store: Store, parents: Sequence[Parent], listing: Listing, codes: Codes) -> Iterator[Parent]:
    for parent in parents:
        outcome = listing.outcome(parent.function.table_name, parent.key)
        arguments = parent.call.arguments
        if _state(store, parent.function, parent.key, arguments, outcome, codes) is not State.DONE:
            yield parent


def _state(
    store: Store,
    function: Cachable,
    key: str,
    arguments: Mapping[str, Any],
    named: str | None,
    codes: Codes,
) -> State:
    """Return the state of a call whose outcome the file names show as `named`."""
    name = function.table_name
    if named is None:
        return State.MISSING
    if named == "done":
        if function.checker is None and function.on_code_change != "recompute":
            return State.DONE
        record = store.read(name, key)
        if record is not None and is_current(store, function, arguments, record, codes):
            return State.DONE
        has_other_code = record is not None and bool(codes.changes(function, arguments, record))
        if not (has_other_code and store.has(name, key, "failed")):
            return State.MISSING
    if named == "claimed" and claims.is_claimed(store, name, key):
        return State.RUNNING
    failed = named in ("failed", "done") or (named == "claimed" and store.has(name, key, "failed"))
    if failed and function.on_code_change == "recompute":
        record = store.read(name, key, "failed")
        failed = record is not None and not codes.changes(function, arguments, record)
    return State.FAILED if failed else State.MISSING


def is_current(
    store: Store,
    function: Cachable,
    arguments: Mapping[str, Any],
    record: Record,
    codes: Codes,
    *,
    recompute: bool = True,
) -> bool:
    """Whether a stored result is valid: its checker accepts its files and its code is current enough."""
    if function.checker is not None and not function.checker(store.folder_of(record)):
        return False
    if not recompute or function.on_code_change != "recompute":
        return True
    return not codes.changes(function, arguments, record)


def missing(grid: Any, func: Any, cache_dir: StoreLike | None = None) -> Callable[..., Grid]:
    """Return the points without a result that no process computes now; called like `status`."""

    def report(*args: Any, **kwargs: Any) -> Grid:
        points = as_points(grid)
        store = Store(cache_dir)
        listing = Listing(store.outcomes)
        calls = settle_all(store, plan(points, func, args, kwargs), listing)
        states = states_of(store, calls, listing)
        found = [call for call, state in zip(calls, states, strict=True) if state is State.MISSING]
        return Grid(points[index] for index in sorted(index for call in found for index in call.indices))

    return report
