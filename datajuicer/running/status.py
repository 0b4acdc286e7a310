"""What is there and what is not, without computing anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.plan import Item, brief, plan
from datajuicer.store import claims, values
from datajuicer.store.record import Record
from datajuicer.store.store import Store

Outcome = Literal["done", "failed", "running", "missing"]


@dataclass(frozen=True)
class Status:
    """The points of a grid by what became of them."""

    done: Grid = field(default_factory=Grid)
    failed: Grid = field(default_factory=Grid)
    running: Grid = field(default_factory=Grid)
    missing: Grid = field(default_factory=Grid)

    def __str__(self) -> str:
        return (
            f"{len(self.done)} done, {len(self.failed)} failed, {len(self.running)} running, "
            f"{len(self.missing)} missing"
        )

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>"


def status(grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions") -> Callable[..., Status]:
    """What of a run is done, failed, running (here or elsewhere) or missing: `status(grid, func)(*args,
    **kwargs)`.

    Args:
        grid: as for `run`.
        func: as for `run`; it must be cachable.
        cache_dir: the folder of the store.
    """

    def call(*args: Any, **kwargs: Any) -> Status:
        points = as_points(grid)
        found: dict[int, Outcome] = {}
        store = Store(cache_dir)
        for item, outcome in outcomes_of(store, plan(points, func, args, kwargs)):
            found |= dict.fromkeys(item.indices, outcome)
        lists = {name: Grid() for name in ("done", "failed", "running", "missing")}
        for index, point in enumerate(points):
            lists[found[index]].append(point)
        return Status(**lists)

    return call


def outcomes_of(store: Store, items: list[Item]) -> list[tuple[Item, Outcome]]:
    """Each computation with what the store says of it: done, failed, running or missing."""
    known: dict[str, dict[str, str]] = {}
    found: list[tuple[Item, Outcome]] = []
    for item in items:
        function = item.function
        if not isinstance(function, Cachable) or item.key is None:
            raise UsageError(
                f"{item.name} is not cachable, so there is no record of what is done; add @dj.cachable()"
            )
        if item.name not in known:
            known[item.name] = store.outcomes(item.name)
        found.append((item, _outcome(store, function, item.key, known[item.name].get(item.key, "missing"))))
    return found


def _outcome(store: Store, function: Cachable, key: str, named: str) -> Outcome:
    name = function.table_name
    if named == "done":
        if function.checker is None and function.on_code_change != "recompute":
            return "done"
        record = store.read(name, key)
        return "done" if record is not None and is_current(store, function, record) else "missing"
    if named == "claimed" and claims.is_claimed(store, name, key):
        return "running"
    failed = named == "failed" or (named == "claimed" and store.path(name, key, "failed").exists())
    return "failed" if failed else "missing"


def is_current(store: Store, function: Cachable, record: Record, *, recompute: bool = True) -> bool:
    """Whether a stored result stands: its checker finds its files good, and it need not be recomputed for its
    code.
    """
    folder = store.folder(function.table_name, record["key"])
    if function.checker is not None and not function.checker(folder):
        return False
    return not (recompute and function.on_code_change == "recompute" and code_differs(function, record))


def code_differs(function: Cachable, record: Record) -> bool:
    """Whether a result was computed by other source code, as far as both are known."""
    return bool(record.get("code") and function.code and record["code"] != function.code)


def missing(grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions") -> Callable[..., Grid]:
    """The points without a result that nobody computes at the moment; called like `status`."""
    return lambda *args, **kwargs: status(grid, func, cache_dir)(*args, **kwargs).missing


@dataclass(frozen=True)
class Explanation:
    """Why a point is missing: the nearest result that is there, and what differs."""

    point: dict[Any, Any]
    nearest: str | None  # its key
    differences: tuple[tuple[str, Any, Any], ...] = ()  # name, wanted, stored

    def __str__(self) -> str:
        if self.nearest is None:
            return f"{brief(self.point)}: there is no result of this function at all"
        told = "; ".join(
            f"{name}: wanted {wanted!r}, stored {stored!r}" for name, wanted, stored in self.differences
        )
        return f"{brief(self.point)}: the nearest result {self.nearest[:12]} differs in {told}"


NOT_THERE = "(not there)"


def explain(
    grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions"
) -> Callable[..., list[Explanation]]:
    """For every missing point: the nearest stored result and what differs; called like `status`."""

    def call(*args: Any, **kwargs: Any) -> list[Explanation]:
        store = Store(cache_dir)
        records: dict[str, list[Record]] = {}
        found = []
        for item, outcome in outcomes_of(store, plan(as_points(grid), func, args, kwargs)):
            if outcome in ("done", "failed"):
                continue
            if item.name not in records:
                records[item.name] = list(store.records(item.name))
            found.append(_explained(item, records[item.name]))
        return found

    return call


def _explained(item: Item, records: list[Record]) -> Explanation:
    wanted = {name: values.describe(value) for name, value in item.dependencies.items()}
    wanted["(version)"] = values.describe(getattr(item.function, "version", None))

    def differing(record: Record) -> list[str]:
        stored = {**record["dependencies"], "(version)": record["version"]}
        names = dict.fromkeys([*wanted, *stored])
        return [name for name in names if not _same(wanted.get(name, NOT_THERE), stored.get(name, NOT_THERE))]

    if not records:
        return Explanation(item.point, None)
    nearest = min(records, key=lambda record: _distance(wanted, record["dependencies"], differing(record)))
    stored = {**nearest["dependencies"], "(version)": nearest["version"]}
    shown = tuple(
        (name, _readable(wanted.get(name, NOT_THERE)), _readable(stored.get(name, NOT_THERE)))
        for name in differing(nearest)
    )
    return Explanation(item.point, nearest["key"], shown)


def _distance(wanted: dict[str, Any], stored: dict[str, Any], names: list[str]) -> tuple[int, float]:
    """In how many things a result differs, and among results equal in that, how far its numbers are off."""
    off = 0.0
    for name in names:
        one, other = wanted.get(name), stored.get(name)
        if isinstance(one, (int, float)) and isinstance(other, (int, float)):
            off += abs(one - other) / (abs(one) + abs(other) or 1)
        else:
            off += 1
    return len(names), off


def _same(one: Any, other: Any) -> bool:
    import json

    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # typed: 1 is not 1.0 there


def _readable(described: Any) -> Any:
    try:
        return values.decode(described, {}, values.Artifact)
    except TypeError:  # a set of what only its key makes hashable, such as dataclasses
        return described
