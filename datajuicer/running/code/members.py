"""What wrappers, closures and classes hold."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any

from datajuicer.keys import wrapped_in


def unwrapped(found: Any) -> Any:
    """The function inside of jax.jit, functools.cache or cachable; wrappers that are functions stay."""
    while not isinstance(found, type | types.FunctionType) and (inner := wrapped_in(found)) is not None:
        found = inner
    return found


def content_of(cell: Any) -> Any:
    """What a cell of a closure holds; the cell itself if that is nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return cell


def functions_of(member: Any) -> Iterator[types.FunctionType]:
    """The functions behind what a class has under one name: a method, a property, a cached property."""
    if isinstance(member, property):
        found: Iterable[Any] = (member.fget, member.fset, member.fdel)
    elif isinstance(member, staticmethod | classmethod):
        found = (member.__func__,)
    elif isinstance(member, functools.cached_property):
        found = (member.func,)
    else:
        found = (member,)
    for function in map(unwrapped, found):
        if isinstance(function, types.FunctionType):
            yield function


def is_generated(found: type, attribute: str, function: types.FunctionType) -> bool:
    """Whether a method was written by dataclass or namedtuple."""
    makers = {"__dataclass_fields__", "_fields"}
    is_from_file = not inspect.unwrap(function).__code__.co_filename.startswith("<")
    return attribute.startswith("__") and not is_from_file and bool(makers & vars(found).keys())


def defaults_of(found: type) -> Iterator[tuple[str, Any]]:
    """The defaults of a dataclass's fields that are not attributes of the class."""
    for name, field in vars(found).get("__dataclass_fields__", {}).items():
        for default in (field.default, field.default_factory):
            if default is not dataclasses.MISSING and name not in vars(found):
                yield name, default
