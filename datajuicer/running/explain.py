"""Explaining: why a point is missing, by the nearest result that is stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.labels import short_label
from datajuicer.running.omitted import settle_all
from datajuicer.running.plan import Call, plan
from datajuicer.running.provenance import EARLIER, Codes, shown
from datajuicer.running.states import State
from datajuicer.running.status import states_of
from datajuicer.store import values
from datajuicer.store.record import Record
from datajuicer.store.store import Store


@dataclass(frozen=True)
class Explanation:
    """Why a point is missing: the nearest result that is there, and what differs."""

    point: dict[Any, Any]
    nearest: str | None  # its key
    differences: tuple[tuple[str, Any, Any], ...] = ()  # name, wanted, stored

    def __str__(self) -> str:
        if self.nearest is None:
            return f"{short_label(self.point)}: there is no result of this function at all"
        differences = "; ".join(
            f"{name}: wanted {wanted!r}, stored {stored!r}" for name, wanted, stored in self.differences
        )
        return f"{short_label(self.point)}: the nearest result {self.nearest[:12]} differs in {differences}"


NOT_THERE = "(not there)"


def explain(
    grid: Any, func: Any, cache_dir: str | os.PathLike[str] = "sessions"
) -> Callable[..., list[Explanation]]:
    """For every missing point: the nearest stored result and what differs; called like `status`."""

    def report(*args: Any, **kwargs: Any) -> list[Explanation]:
        store = Store(cache_dir)
        records: dict[str, list[Record]] = {}
        found, codes = [], Codes()
        calls = settle_all(store, plan(as_points(grid), func, args, kwargs))
        for call, state in zip(calls, states_of(store, calls), strict=True):
            if state in (State.DONE, State.FAILED):
                continue
            if call.name not in records:
                records[call.name] = list(store.records(call.name))
            found.append(_explain(call, records[call.name], codes))
        return found

    return report


def _explain(call: Call, records: list[Record], codes: Codes) -> Explanation:
    wanted = {name: values.describe(value) for name, value in call.dependencies.items()}
    wanted["(version)"] = values.describe(getattr(call.function, "version", None))

    def differing(record: Record) -> list[str]:
        stored = {**record["dependencies"], "(version)": record["version"]}
        names = dict.fromkeys([*wanted, *stored])
        return [name for name in names if not _same(wanted.get(name, NOT_THERE), stored.get(name, NOT_THERE))]

    if not records:
        return Explanation(call.point, None)
    nearest = min(records, key=lambda record: _distance(wanted, record["dependencies"], differing(record)))
    stored = {**nearest["dependencies"], "(version)": nearest["version"]}
    differences: list[tuple[str, Any, Any]] = [
        (name, _readable(wanted.get(name, NOT_THERE)), _readable(stored.get(name, NOT_THERE)))
        for name in differing(nearest)
    ]
    assert isinstance(call.function, Cachable)
    if changed := codes.changes(call.function, call.arguments, nearest):
        differences.append(("(code)", "as it is now", f"{EARLIER}; since then changed: {shown(changed)}"))
    return Explanation(call.point, nearest["key"], tuple(differences))


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
