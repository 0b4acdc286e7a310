"""What a key omits: the function behind the name, defaults, and the state of values.

A key that held all of this would be another key, and every earlier result a miss. So the record names it, in
the field `omitted`, and a record that names something else is no hit: what differs joins the dependencies,
which gives the key under which the new result is stored and found. A record without the field is of an
earlier version and counts as having the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datajuicer.running.cachable import Cachable
from datajuicer.running.identity import is_other
from datajuicer.running.plan import Call
from datajuicer.store.record import Record
from datajuicer.store.store import Store


def settle(store: Store, call: Call, taken: dict[str, Record]) -> tuple[Call, Record | None]:
    """Return a call under the key that is its own, and the record of its result if there is one.

    Args:
        store: where results are.
        call: of a cachable function.
        taken: by function and key what earlier calls of the same plan omit; filled in.
    """
    function = call.function
    assert isinstance(function, Cachable)
    while True:
        record = store.read(call.name, call.id)
        stored = record or store.read(call.name, call.id, "failed") or taken.get(f"{call.name} {call.key}")
        added = {} if stored is None else differing(call, stored)
        if not added:
            taken.setdefault(f"{call.name} {call.key}", {"omitted": call.omitted})
            return call, record
        dependencies = {**call.dependencies, **added}
        call = replace(call, dependencies=dependencies, key=function.key(dependencies))


def settle_all(store: Store, calls: Sequence[Call]) -> list[Call]:
    """Return the calls under their own keys; reads only records of results that are there."""
    named: dict[str, Mapping[str, str]] = {}
    taken: dict[str, Record] = {}
    found = []
    for call in calls:
        if not isinstance(call.function, Cachable) or call.key is None:
            found.append(call)
            continue
        if call.name not in named:
            named[call.name] = store.outcomes(call.name)
        if call.key in named[call.name] or f"{call.name} {call.key}" in taken:
            found.append(settle(store, call, taken)[0])
        else:
            taken[f"{call.name} {call.key}"] = {"omitted": call.omitted}
            found.append(call)
    return found


def differing(call: Call, record: Record) -> dict[str, Any]:
    """Return what a record omits differently from a call, as dependencies that tell the two apart."""
    function, mine, theirs = call.function, call.omitted, record.get("omitted")
    assert isinstance(function, Cachable)
    if theirs is not None and repr(mine) == repr(theirs):
        return {}
    added: dict[str, Any] = {}
    known = function.earlier_defaults_described if theirs is None else theirs.get("defaults", {})
    for name, default in mine.get("defaults", {}).items():
        if name in known and not _are_equal(known[name], default):
            added[name] = function.defaults[name]
    if theirs is not None:
        if "function" in mine and "function" in theirs and is_other(mine["function"], theirs["function"]):
            added["(function)"] = " in ".join(mine["function"].values())
        my_values, their_values = mine.get("values", {}), theirs.get("values", {})
        for label in sorted(my_values.keys() | their_values.keys()):
            if not _are_equal(my_values.get(label), their_values.get(label)):
                added[f"({label})"] = json.dumps(my_values.get(label), sort_keys=True)
    # a difference that the key holds already leads back to this record: it was stored under its own key
    return {name: value for name, value in added.items() if name not in call.dependencies}


def _are_equal(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
