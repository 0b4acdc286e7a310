"""Settling: the calls of a plan under the keys that are their own in a store.

A key omits some of what a result depends on (see `omitted`). Where the store has a result of that key that
was made with something else, the call goes under a further key; and so do the calls that hold it as a parent.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from datajuicer.running.cachable import Cachable
from datajuicer.running.omitted import differing
from datajuicer.running.parent import Parent, exchange_parents
from datajuicer.running.plan import Call, with_key
from datajuicer.store.record import Record
from datajuicer.store.store import Store


@dataclass(frozen=True)
class Settled:
    """What is settled so far in one plan.

    Attributes:
        taken: by function and key, what the call under it omits.
        parents: by id: the parent as it was planned, and as it is settled.
    """

    taken: dict[str, Record] = field(default_factory=dict)
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
        stored = record or store.read(call.name, call.id, "failed") or taken.get(f"{call.name} {call.key}")
        added = {} if stored is None else differing(function, call.omitted, call.dependencies, stored)
        if not added:
            taken.setdefault(f"{call.name} {call.key}", {"omitted": call.omitted})
            return call, record
        dependencies = {**call.dependencies, **added}
        call = replace(call, dependencies=dependencies, key=function.key(dependencies))


def settle_parents(store: Store, call: Call, settled: Settled) -> Call:
    """Return a call whose parents are under their own keys, and its key with theirs."""
    planned = call.parents
    if not planned:
        return call

    def own(parent: Parent) -> Parent:
        if id(parent) not in settled.parents:
            under, _ = settle(store, parent.call, settled)
            settings = exchange_parents(dict(parent), own)
            stays = under.key == parent.key and all(map(operator.is_, settings.values(), parent.values()))
            settled.parents[id(parent)] = parent, parent if stays else Parent(settings, under, parent.shown)
        return settled.parents[id(parent)][1]

    if all(own(parent) is parent for parent in planned):
        return call
    args, kwargs, arguments = (
        exchange_parents(value, own) for value in (call.args, call.kwargs, call.arguments)
    )
    return with_key(replace(call, args=args, kwargs=kwargs, arguments=arguments))


def _omits_the_same(store: Store, call: Call) -> bool:
    theirs = store.peek(call.name, call.id, "omitted")
    return "defaults" not in call.omitted if theirs is None else repr(theirs) == repr(call.omitted)


def settle_all(store: Store, calls: Sequence[Call]) -> list[Call]:
    """Return the calls under their own keys; reads only records of results that are there."""
    named: dict[str, Mapping[str, str]] = {}
    settled = Settled()
    found = []
    for planned in calls:
        call = settle_parents(store, planned, settled)
        if not isinstance(call.function, Cachable) or call.key is None:
            found.append(call)
            continue
        if call.name not in named:
            named[call.name] = store.outcomes(call.name)
        taken, outcome = f"{call.name} {call.key}", named[call.name].get(call.key)
        if taken in settled.taken or not (outcome is None or _omits_the_same(store, call)):
            found.append(_settle_itself(store, call, settled)[0])
        else:
            settled.taken[taken] = {"omitted": call.omitted}
            found.append(call)
    return found
