"""Parents: points of an earlier run that later points hold, identified by the key of their result.

A key can be computed before its result exists, so a whole chain of runs can be planned at once: the key of a
later result contains the keys of its parents, and their values are read only where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.messages import short_label
from datajuicer.running.omitted import differing
from datajuicer.store.pickled import load_pickle
from datajuicer.store.store import MISSING, Store
from datajuicer.template import put


class ParentMissing(UsageError):
    """A point cannot be computed because a parent has no result."""


class Parent(dict[Any, Any]):
    """A point with the function and key of its result; as a dependency it is that key. Made by `planned`.

    It holds the settings of its point from the start, and the entries of its result once it is loaded.
    """

    def __init__(self, point: Mapping[Any, Any], call: Any, shown: str | None = None):
        """Make a parent.

        Args:
            point: the settings.
            call: the call that gives the result, a `plan.Call` of a cachable function.
            shown: where the settings show the key; None: nowhere.
        """
        assert isinstance(call.function, Cachable)
        assert call.key is not None
        super().__init__(point if shown is None else put(point, shown, call.key))
        self.call = call
        self.shown = shown
        self.function = call.function
        self.key = call.key

    def __reduce__(self) -> Any:
        return Parent, (dict(self), self.call, self.shown)

    def __datajuicer_key__(self) -> tuple[str, str, str]:
        return ("parent", self.function.table_name, self.key)

    @property
    def label(self) -> str:
        """The function and the settings, for messages."""
        return f"{self.function.table_name} ({short_label(self)})"

    def load(self, store: Store) -> Parent:
        """Return this point with its result, and with the results of its own parents.

        Raises:
            ParentMissing: there is no result.
        """
        function = self.function
        record = store.read(function.table_name, self.key)
        call = self.call
        if record is not None and (other := differing(function, call.omitted, call.dependencies, record)):
            raise ParentMissing(
                f"it needs the result of {self.label}, but the one under its key was made with another "
                f"{', '.join(other)}; run that first, and plan with planned(cache_dir=…)"
            )
        value = MISSING
        if record is not None:
            pickles = partial(load_pickle, store.root_of(record))
            value = store.value(record, pickles if function.loader == "pickle" else function.loader)
        if value is MISSING:
            raise ParentMissing(f"it needs the result of {self.label}, which is not there")
        entries = value if isinstance(value, Mapping) else {function.table_name: value}
        return Parent({**load_parents(store, dict(self)), **entries}, self.call)


def parents_in(*values: Any) -> tuple[Parent, ...]:
    """Return the parents that values are or hold; not the parents of parents."""
    found: list[Parent] = []
    seen: set[int] = set()  # a value may hold itself
    waiting = list(values)
    for item in waiting:
        kind = type(item)
        if kind is dict:
            inner: Any = item.values()
        elif kind is list or kind is tuple or isinstance(item, (list, tuple)):
            inner = item
        elif isinstance(item, Parent):
            found.append(item)
            continue
        elif isinstance(item, Mapping):
            inner = item.values()
        else:
            continue
        if not _PLAIN.issuperset(map(type, inner)) and id(item) not in seen:
            seen.add(id(item))
            waiting += [one for one in inner if type(one) not in _PLAIN]
    return tuple(found)


_PLAIN = frozenset([str, int, float, bool, type(None)])  # most settings


def load_parents(store: Store, value: Any) -> Any:
    """Return a value with all parents in it loaded; a value without parents is returned as it is.

    Raises:
        ParentMissing: one has no result.
    """
    return exchange_parents(value, lambda parent: parent.load(store))


def exchange_parents(value: Any, exchange: Callable[[Parent], Any]) -> Any:
    """Return a value with something else for each parent in it; without parents it is returned as it is."""
    return _exchange(value, exchange, {})


def _exchange(value: Any, exchange: Callable[[Parent], Any], made: dict[int, Any]) -> Any:
    if isinstance(value, Parent):
        return exchange(value)
    if id(value) in made:  # a value that holds itself holds its copy afterwards
        return made[id(value)]
    if not parents_in(value):
        return value
    if isinstance(value, Mapping):
        found = made[id(value)] = {}
        found.update((key, _exchange(item, exchange, made)) for key, item in value.items())
        return found
    if isinstance(value, list):
        items = made[id(value)] = type(value)()
        items.extend(_exchange(item, exchange, made) for item in value)
        return items
    return type(value)([_exchange(item, exchange, made) for item in value])
