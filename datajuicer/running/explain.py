"""Explaining: why a point is missing, by the nearest result that is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.code.provenance import EARLIER, Codes, shown
from datajuicer.running.messages import short_label
from datajuicer.running.plan import Call, plan
from datajuicer.running.settling import settle_all
from datajuicer.running.states import State
from datajuicer.running.status import states_of
from datajuicer.store import values
from datajuicer.store.listing import Listing
from datajuicer.store.record import Record
from datajuicer.store.store import Store, StoreLike


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


def explain(grid: Any, func: Any, cache_dir: StoreLike | None = None) -> Callable[..., list[Explanation]]:
    """For every missing point: the nearest stored result and what differs; called like `status`."""

    def report(*args: Any, **kwargs: Any) -> list[Explanation]:
        store = Store(cache_dir)
        indexes: dict[str, _Index] = {}
        found, codes = [], Codes()
        listing = Listing(store.outcomes)
        calls = settle_all(store, plan(as_points(grid), func, args, kwargs), listing)
        for call, state in zip(calls, states_of(store, calls, listing), strict=True):
            if state in (State.DONE, State.FAILED):
                continue
            if call.name not in indexes:
                indexes[call.name] = _Index(list(store.records(call.name)))
            found.append(_explain(call, indexes[call.name], codes))
        return found

    return report


class _Index:
    """The records of a function as one array per name, so that a point is compared with all of them at once.

    Comparing every missing point with every record in Python would take minutes for thousands of each.
    """

    def __init__(self, records: list[Record]):
        import numpy as np

        self.records = records
        self.described = [{**r["dependencies"], "(version)": r["version"]} for r in records]
        self.names = list(dict.fromkeys(name for one in self.described for name in one))
        self.texts: dict[str, dict[str, int]] = {name: {} for name in self.names}  # the code of each value
        codes = np.full((len(self.names), len(records)), -1)  # -1: not there
        numbers = np.full(codes.shape, np.nan)
        for row, name in enumerate(self.names):
            texts = self.texts[name]
            for column, one in enumerate(self.described):
                if name in one:
                    codes[row, column] = texts.setdefault(_text(one[name]), len(texts))
                    if _is_number(one[name]):
                        numbers[row, column] = one[name]
        self.codes, self.numbers = codes, numbers

    def nearest(self, wanted: dict[str, Any]) -> int:
        """Return the place of the record that differs in the fewest names, and then least in its numbers."""
        import numpy as np

        count = np.full(len(self.records), len(wanted.keys() - set(self.names)))
        off = count.astype(float)
        for row, name in enumerate(self.names):
            code = self.texts[name].get(_text(wanted[name]), -2) if name in wanted else -1
            differs = self.codes[row] != code
            count += differs
            distance = np.ones(len(self.records))
            if name in wanted and _is_number(wanted[name]):
                number, numbers = float(wanted[name]), self.numbers[row]
                size = abs(number) + np.abs(numbers)
                relative = np.abs(numbers - number) / np.where(size == 0, 1, size)
                distance = np.where(np.isnan(relative), 1, relative)
            off += np.where(differs, distance, 0)
        off[count > count.min()] = np.inf
        return int(off.argmin())


def _explain(call: Call, index: _Index, codes: Codes) -> Explanation:
    wanted = {name: values.describe(value) for name, value in call.dependencies.items()}
    wanted["(version)"] = values.describe(getattr(call.function, "version", None))
    if not index.records:
        return Explanation(call.point, None)
    place = index.nearest(wanted)
    nearest, stored = index.records[place], index.described[place]
    differences: list[tuple[str, Any, Any]] = [
        (name, _readable(wanted.get(name, NOT_THERE)), _readable(stored.get(name, NOT_THERE)))
        for name in dict.fromkeys([*wanted, *stored])
        if _text(wanted.get(name, NOT_THERE)) != _text(stored.get(name, NOT_THERE))
    ]
    assert isinstance(call.function, Cachable)
    # settings that differ, which stand above, may bring code of their own: that is no change of code
    of_both = codes.of(call.function, call.arguments).reached.keys() & nearest.get("reached", {}).keys()
    changed = [
        name
        for name in codes.changes(call.function, call.arguments, nearest)
        if name in of_both or name == f"{call.name} itself"
    ]
    if changed:
        differences.append(("(code)", "as it is now", f"{EARLIER}; since then changed: {shown(changed)}"))
    return Explanation(call.point, nearest["key"], tuple(differences))


def _is_number(described: Any) -> bool:
    return isinstance(described, float) or (isinstance(described, int) and abs(described) < 1 << 512)


def _text(described: Any) -> str:
    import json

    return json.dumps(described, sort_keys=True)  # typed: 1 is not 1.0 there


def _readable(described: Any) -> Any:
    try:
        return values.decode(described, {}, values.Artifact)
    except TypeError:  # a set of what only its key makes hashable, such as dataclasses
        return described
