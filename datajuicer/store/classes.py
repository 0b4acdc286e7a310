"""Dataclasses, enums and named tuples as results: by the name of the class and the names of its fields.

A record that comes from somewhere else must not make this process import or call whatever it names. So a
class is looked for among the modules that are imported already, and in submodules of packages that are; it
must be a dataclass, an enum or a named tuple; and no `__init__` runs: declared fields are set, nothing else.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.keys import lasting_name, module_name, vars_of

NAMES = ("dataclass", "enum", "namedtuple")

_BUILTIN = (dict, list, tuple, set, frozenset, str, bytes, int, float, complex, BaseException)


def to_plain(value: Any, where: str, known: dict[str, type]) -> tuple[str, Any] | None:
    """Return the kind of class and the plain values, None if it is no instance of such a class."""
    kind = type(value)
    if isinstance(value, enum.Enum):
        content = _enum_content(value)
    elif isinstance(value, tuple) and _is_namedtuple(kind):
        content = {"fields": dict(zip(kind._fields, value, strict=True))}  # type: ignore[attr-defined]
    elif _is_dataclass(kind):
        content = {"fields": _fields_of(value, where)}
    else:
        return None
    name = lasting_name(kind)
    if name is None:
        raise UsageError(
            f"{where} is of the class {kind.__qualname__!r}, which is defined inside a function, so that no "
            "other process finds it; move the class to the top level of its module"
        )
    known[name] = kind
    place = f"{module_name(kind.__module__)}:{kind.__qualname__}"
    return _kind_name(kind), {"class": name, **({"at": place} if place != name else {}), **content}


def from_plain(name: str, content: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    """Return the instance that `to_plain` took apart.

    Raises:
        UsageError: the class is not imported, is of another kind, or its fields have changed.
    """
    kind = known.get(content["class"]) or find_class(content["class"], content.get("at", content["class"]))
    if _kind_name(kind) != name:
        raise UsageError(f"a stored result holds the {name} {content['class']}, which is something else now")
    if name == "enum":
        return _member(kind, content)
    declared = kind._fields if name == "namedtuple" else tuple(f.name for f in dataclasses.fields(kind))  # type: ignore[attr-defined,arg-type]
    stored = content["fields"]
    if set(declared) != set(stored):
        changed = ", ".join(sorted(set(declared) ^ set(stored)))
        raise UsageError(
            f"a stored result holds a {content['class']}, whose fields have changed since ({changed}); "
            "restore them, or compute it again under a new version=…"
        )
    if name == "namedtuple":
        return tuple.__new__(kind, [stored[field] for field in declared])
    made = object.__new__(kind)
    for field in declared:
        object.__setattr__(made, field, stored[field])
    return made


def find_class(name: str, place: str) -> type:
    """Return a class by its lasting name, from what is imported.

    Args:
        name: its lasting name.
        place: module and qualified name where it was when it was stored.
    """
    module, _, qualname = place.partition(":")
    found: Any = _imported(module)
    for part in qualname.split("."):
        found = vars_of(found).get(part) if not isinstance(found, type) else vars(found).get(part)
    if isinstance(found, type) and lasting_name(found) == name:
        return found
    moved = _declaring(name)
    if moved is not None:
        return moved
    raise UsageError(
        f"a stored result holds a {name}, which is not imported here; import {module} first (modules that a "
        "record names are not imported unasked)"
    )


def _imported(module: str) -> Any:
    if module == module_name("__main__"):
        return sys.modules["__main__"]
    if module not in sys.modules and module.partition(".")[0] in sys.modules:
        try:
            importlib.import_module(module)  # of a package that the process has imported itself
        except ImportError:
            return None
    return sys.modules.get(module)


def _declaring(name: str) -> type | None:
    """The class that declares a key name, wherever it has moved to among what is imported."""
    for module in list(sys.modules.values()):
        for value in list(vars_of(module).values()):
            if isinstance(value, type) and vars(value).get("__key_name__") == name:
                return value
    return None


def _is_dataclass(kind: type) -> bool:
    # its own fields: a plain subclass of a dataclass may hold more
    return "__dataclass_fields__" in vars(kind) and not issubclass(kind, _BUILTIN)


def _is_namedtuple(kind: type) -> bool:
    return tuple in kind.__bases__ and isinstance(vars(kind).get("_fields"), tuple)


def _kind_name(kind: type) -> str:
    if issubclass(kind, enum.Enum):
        return "enum"
    if issubclass(kind, tuple) and _is_namedtuple(kind):
        return "namedtuple"
    return "dataclass" if _is_dataclass(kind) else "class of another kind"


def _fields_of(value: Any, where: str) -> dict[str, Any]:
    kind = type(value)
    names = [field.name for field in dataclasses.fields(value)]
    more = [
        name
        for name in vars_of(value)
        if name not in names and not isinstance(getattr(kind, name, None), functools.cached_property)
    ]
    if more:
        raise UsageError(
            f"{where} is a {kind.__qualname__} with the attribute {more[0]!r}, which is no field of the "
            "dataclass and would be lost; declare it as a field"
        )
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise UsageError(f"{where} is a {kind.__qualname__} whose field {missing[0]!r} has no value; set it")
    return {name: getattr(value, name) for name in names}


def _enum_content(value: enum.Enum) -> dict[str, Any]:
    if isinstance(value, enum.Flag):
        return {"value": value.value}
    plain = (bool, int, float, str, bytes, type(None))
    return {"member": value.name, "value": value.value if type(value.value) in plain else None}


def _member(kind: Any, content: Mapping[str, Any]) -> Any:
    if "member" not in content:
        try:
            return kind(content["value"])
        except ValueError as error:
            raise UsageError(
                f"a stored result holds {content['class']}({content['value']!r}), which the class does not "
                "have any more; restore it, or compute the result again under a new version=…"
            ) from error
    member = kind.__members__.get(content["member"])
    if member is None or _enum_content(member)["value"] != content["value"]:
        raise UsageError(
            f"a stored result holds {content['class']}.{content['member']} = {content['value']!r}, which the "
            "class does not have any more; restore it, or compute the result again under a new version=…"
        )
    return member
