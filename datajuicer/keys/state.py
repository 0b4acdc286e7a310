"""State: what an instance holds beyond the fields and items by which its type is keyed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from datajuicer.keys.names import vars_of

_CONTAINERS: tuple[Any, ...] = (dict, list, tuple, set, frozenset, str, bytes, int, float)


def state_beyond(value: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of an instance beyond its fields and its content: what subclasses add.

    What a `cached_property` keeps is no state; nor are attributes of a dict that mirror its items.

    Args:
        value: an instance of a dataclass, a named tuple or a subclass of dict.
        known: the fields that are keyed already, by name.
    """
    kind = type(value)
    state = {
        name: inner
        for name, inner in vars_of(value).items()
        if name not in known and not isinstance(getattr(kind, name, None), functools.cached_property)
    }
    for name in _slots(kind):
        if name not in known:
            with suppress(AttributeError):
                state[name] = object.__getattribute__(value, name)
    if isinstance(value, dict):
        content = dict(value)
        state = {name: inner for name, inner in state.items() if content.get(name, state) is not inner}
    if dataclasses.is_dataclass(kind):
        state |= {f"({base.__name__})": base(value) for base in _CONTAINERS if isinstance(value, base)}
    return state


@functools.lru_cache(maxsize=1024)
def _slots(kind: type) -> tuple[str, ...]:
    found = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__"):
                found.append(f"_{base.__name__.lstrip('_')}{slot}" if slot.startswith("__") else slot)
    return tuple(found)
