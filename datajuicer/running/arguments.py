"""Arguments of a call: copies, so that a call that changes them changes no other point, no grid, no record.

Data is copied at any depth: dicts, lists, tuples, sets, dataclasses, arrays, random generators, pandas
objects. Objects of other classes are passed as they are; `compute` checks after the call that those which the
key depends on have not changed.
"""

from __future__ import annotations

import copy
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType
from typing import Any

from datajuicer.keys import MANY
from datajuicer.workers.shared import SharedArray

LARGE = 1 << 20  # bytes from which an array that several calls share is mapped instead of copied per call

_ATOMIC = frozenset({str, int, float, bool, type(None), complex, bytes})


class Copier:
    """Copies the arguments of one call after the other; the arrays among `shared` are mapped."""

    def __init__(self, shared: Iterable[Any] = ()):
        can_map = hasattr(os, "memfd_create")
        self.shared = frozenset(id(one) for one in shared if can_map and type(one).__module__ == "numpy")
        self._mapped: dict[int, tuple[Any, SharedArray]] = {}  # with the array, so that its id stays its own

    def copy(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return copies of the arguments of one call; an object that occurs twice stays one object."""
        made: dict[int, Any] = {}
        return (
            tuple([self._copy(value, made) for value in args]),
            {name: self._copy(value, made) for name, value in kwargs.items()},
        )

    def _copy(self, value: Any, made: dict[int, Any]) -> Any:
        if type(value) in _ATOMIC:
            return value
        if id(value) not in made:
            made[id(value)] = self._copy_new(value, made)
        return made[id(value)]

    def _copy_new(self, value: Any, made: dict[int, Any]) -> Any:  # noqa: PLR0911 - one line per type
        kind = type(value)
        if kind is dict:
            made[id(value)] = new = {}
            new.update((key, self._copy(inner, made)) for key, inner in value.items())
            return new
        if kind is list:
            made[id(value)] = new = []
            new.extend(self._copy(inner, made) for inner in value)
            return new
        if kind is tuple:
            inner = [self._copy(item, made) for item in value]
            return value if _are_same(inner, value) else tuple(inner)
        if _is_array(value):
            return self._copy_array(value)
        if isinstance(value, set | bytearray | random.Random):
            return copy.copy(value) if not isinstance(value, random.Random) else copy.deepcopy(value)
        if kind.__module__.startswith("pandas.") and hasattr(kind, "copy"):
            return value.copy()
        if kind.__module__.startswith("numpy.random"):
            return copy.deepcopy(value)
        if isinstance(value, dict | list | tuple) or (is_dataclass(value) and not isinstance(value, type)):
            with suppress(Exception):  # a class that cannot be copied is passed as it is
                return self._copy_instance(value, made)
        return value

    def _copy_instance(self, value: Any, made: dict[int, Any]) -> Any:
        """Copy an instance of a subclass of dict, list or tuple, or of a dataclass."""
        kind: Any = type(value)
        if isinstance(value, tuple):
            inner = [self._copy(item, made) for item in value]
            return value if _are_same(inner, value) else kind._make(inner)
        parameters = vars(kind).get("__dataclass_params__")
        if parameters is not None and parameters.frozen:
            # an object that nothing can change stays the same object, so that caches find it
            inner = [getattr(value, field.name) for field in fields(kind)]
            if _are_same([self._copy(item, made) for item in inner], inner):
                return value
        new: Any = copy.copy(value)
        made[id(value)] = new
        if isinstance(value, dict):
            for key, item in value.items():
                dict.__setitem__(new, key, self._copy(item, made))
        elif isinstance(value, list):
            list.__setitem__(new, slice(None), [self._copy(item, made) for item in value])
        if is_dataclass(kind):
            for field in fields(kind):
                object.__setattr__(new, field.name, self._copy(getattr(value, field.name), made))
        return new

    def _copy_array(self, array: Any) -> Any:
        if id(array) not in self.shared:
            return array.copy(order="K")
        if id(array) not in self._mapped:
            self._mapped[id(array)] = array, SharedArray(array)
        return self._mapped[id(array)][1].copy()


def is_data(value: Any, depth: int = 20) -> bool:
    """Whether a value is of a kind that `Copier` copies or that cannot be changed, at any depth."""
    kind = type(value)
    if kind in _ATOMIC or _is_array(value):
        return True
    if isinstance(value, dict):
        return depth > 0 and all(is_data(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return depth > 0 and all(is_data(inner, depth - 1) for inner in value)
    if is_dataclass(value) and not isinstance(value, type):
        return depth > 0 and all(is_data(getattr(value, f.name), depth - 1) for f in fields(value))
    if isinstance(value, type | FunctionType | BuiltinFunctionType | Enum | PurePath | set | frozenset):
        return True
    return kind.__module__.partition(".")[0] in ("numpy", "jax", "jaxlib", "pandas")


def _are_same(one: Iterable[Any], other: Iterable[Any]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def shared_objects(calls: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> list[Any]:
    """Return the large arrays and containers among the arguments of more than one call."""
    seen: set[int] = set()
    shared: dict[int, Any] = {}
    for args, kwargs in calls:
        found = {id(one): one for value in (*args, *kwargs.values()) for one in _large_objects(value)}
        shared |= {name: one for name, one in found.items() if name in seen}
        seen |= found.keys()
    return list(shared.values())


def _large_objects(value: Any, depth: int = 4) -> Iterator[Any]:
    if _is_array(value):
        if value.nbytes >= LARGE and not value.dtype.hasobject:
            yield value
    elif type(value) in (dict, list, tuple):
        if len(value) >= MANY:
            yield value
        elif depth:
            for inner in value.values() if type(value) is dict else value:
                yield from _large_objects(inner, depth - 1)


def _is_array(value: Any) -> bool:
    np = sys.modules.get("numpy")
    return np is not None and isinstance(value, np.ndarray)
