"""Settling: the calls of a plan under the keys that are their own in a store.

A key omits some of what a result depends on (see `omitted`). Where the store has a result of that key that
was made with something else, the call goes under a further key; and so do the calls that hold it as a parent.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datajuicer.running.cachable import Cachable
from datajuicer.running.omitted import differing
from datajuicer.running.parent import Parent, exchange_parents
from datajuicer.running.plan import Call, with_arguments
from datajuicer.store.listing import Listing
from datajuicer.store.record import Record, field_bytes
from datajuicer.store.store import Store


@dataclass(frozen=True)
class Settled:
    """What is settled so far in one plan.

    Attributes:
        taken: by function and key, what the call under it omits.
        parents: by id: the parent as it was planned, and as it is settled.
    """

    taken: dict[tuple[str, str | None], Mapping[str, Any]] = field(default_factory=dict)
    parents: dict[int, tuple[Parent, Parent]] = field(default_factory=dict)


def settle(store: Store, call: Call, settled: Settled) -> tuple[Call, Record | None]:
    """Return a call under the key that is its own, and the record of its result if there is one.

    Args:
        store: where results are.
        call: of a cachable function.
        settled: what is settled so far; filled in.
    """
    return _settle_itself(store, settle_parents(store, call, settled), settled)


def _settle_itself(store: Store, call: Call, settled: Settled) -> tuple[Call, Record | None]:
    function, taken = call.function, settled.taken
    assert isinstance(function, Cachable)
    while True:
        record = store.read(call.name, call.id)
        stored = record or store.read(call.name, call.id, "failed")
        if stored is None and (call.name, call.key) in taken:
            stored = {"omitted": taken[call.name, call.key]}
        added = {} if stored is None else differing(function, call.omitted, call.dependencies, stored)
        if not added:
            taken.setdefault((call.name, call.key), call.omitted)
            return call, record
        dependencies = {**call.dependencies, **added}
        call = replace(call, dependencies=dependencies, key=function.key(dependencies))


def settle_parents(store: Store, call: Call, settled: Settled) -> Call:
    """Return a call whose parents are under their own keys, and its key with theirs."""
    if not call.parents:
        return call

    def own(parent: Parent) -> Parent:
        if id(parent) not in settled.parents:
            under, _ = settle(store, parent.call, settled)
            settings = exchange_parents(dict(parent), own)
            stays = under.key == parent.key and all(map(operator.is_, settings.values(), parent.values()))
            settled.parents[id(parent)] = parent, parent if stays else Parent(settings, under, parent.shown)
        return settled.parents[id(parent)][1]

    if all(own(parent) is parent for parent in call.parents):
        return call
    return with_arguments(call, exchange_parents(call.args, own), exchange_parents(call.kwargs, own))


def settle_all(store: Store, calls: Sequence[Call], listing: Listing) -> list[Call]:
    """Return the calls under their own keys; reads only records of results that are there."""
    settled = Settled()
    lines: dict[int, bytes] = {}  # by id: what a call omits, as a record says it; mostly the same for all
    found = []
    for planned in calls:
        call = settle_parents(store, planned, settled) if planned.parents else planned
        name, key = call.name, call.key
        if key is None:
            found.append(call)
            continue
        omitted = call.omitted
        is_its_own = (name, key) not in settled.taken
        if is_its_own and (outcome := listing.outcome(name, key)) is not None:
            if id(omitted) not in lines:
                lines[id(omitted)] = field_bytes("omitted", omitted)
            is_its_own = outcome == "done" and _is_of(store, call, lines[id(omitted)])
        if is_its_own:
            settled.taken[name, key] = omitted
            found.append(call)
        else:
            found.append(_settle_itself(store, call, settled)[0])
    return found


def _is_of(store: Store, call: Call, line: bytes) -> bool:
    """Whether the stored result of a key is that of the call; fast, by the one line that says so."""
    data = store.peek(call.name, call.id)
    if data is None or line in data:
        return True
    is_whole = data.endswith(b"}\n")
    return is_whole and b'\n"omitted": ' not in data and "defaults" not in call.omitted
