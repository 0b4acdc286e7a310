"""Comparing the results of two stores: whether two computations of one key gave the same value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from datajuicer.store.layers import check_is_there
from datajuicer.store.record import Record, difference
from datajuicer.store.store import Store

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Compared:
    """What two stores have in common, as function/key."""

    same: list[str] = field(default_factory=list)
    different: dict[str, str] = field(default_factory=dict)  # with the first place where the values differ
    missing: list[str] = field(default_factory=list)  # in the first store, not in the second


def compare_results(one: Store, other: Store) -> Compared:
    """Compare the finished results of a store with those that another has under the same keys.

    Values are compared to the last bit, files by their checksums: files need not be there.

    Args:
        one: whose results are looked for; with what lies below it.
        other: where they are looked for.

    Raises:
        UsageError: the first store is not there.

    Example:
        >>> compare_results(Store("today"), Store("last_year")).different  # doctest: +SKIP
        {'train/0f3c': 'value.loss[2]: 0.25 and 0.5'}
    """
    check_is_there(one.root, one.below)
    compared = Compared()
    for record in (record for function in one.functions() for record in one.records(function)):
        name = f"{record['function']}/{record['key']}"
        found = other.read(record["function"], record["key"])
        if found is None:
            compared.missing.append(name)
        elif difference(record, found):
            compared.different[name] = first_difference(record, found)
        else:
            compared.same.append(name)
    return compared


def first_difference(one: Record, other: Record) -> str:
    """Return where the values of two records differ first, and how."""
    places = _differences("value", one.get("value"), other.get("value"))
    return next(places, "what is stored beside the value differs")


def _differences(place: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if "$artifact" in one and "$artifact" in other:
            if one != other:
                yield f"{place}: the files differ"
            return
        if "$files" in one and "$files" in other:  # their folder has a random name
            one, other = one["$files"]["files"], other["$files"]["files"]
        for key in [*one, *(key for key in other if key not in one)]:
            if (key in one) != (key in other):
                yield f"{place}.{key}: only in the {'first' if key in one else 'second'}"
            else:
                yield from _differences(f"{place}.{key}", one[key], other[key])
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield f"{place}: {len(one)} and {len(other)} elements"
        for at, pair in enumerate(zip(one, other, strict=False)):
            yield from _differences(f"{place}[{at}]", *pair)
    elif one != other or type(one) is not type(other):
        yield f"{place}: {_short(one)} and {_short(other)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
