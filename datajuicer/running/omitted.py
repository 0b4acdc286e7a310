"""What a key omits: the function behind the name, defaults, and the state of values.

A key that held all of this would be another key, and every earlier result a miss. So the record names it, in
the field `omitted`, and a record that names something else is no hit: what differs joins the dependencies,
which gives the key under which the new result is stored and found. A record without the field is of an
earlier version and counts as having the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datajuicer.running.cachable import Cachable
from datajuicer.running.identity import is_other
from datajuicer.store.record import Record


def differing(
    function: Cachable, mine: Mapping[str, Any], dependencies: Mapping[str, Any], record: Record
) -> dict[str, Any]:
    """Return what a record omits differently from a call, as dependencies that tell the two apart.

    Args:
        function: what is called.
        mine: what the key of the call omits.
        dependencies: what the key of the call holds.
        record: of that key.
    """
    theirs = record.get("omitted")
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
    return {name: value for name, value in added.items() if name not in dependencies}


def _are_equal(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
