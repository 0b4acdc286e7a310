"""Lasting names: `module:qualname` of functions and classes, the same in every process.

A name in a key must lead back to the one thing that it names. Two functions that share `module:qualname`
(made in a loop, by `exec`, by a factory, or one defined again) cannot both be keyed by it: `leads_back` tells
which one the name means now.
"""

from __future__ import annotations

import inspect
import os
import sys
import types
from typing import Any

from datajuicer.errors import UsageError

# Key name → the class that declared it, as module:qualname, for all classes that were keyed in this process.
_DECLARED: dict[str, str] = {}


def lasting_name(value: Any) -> str | None:
    """Return `module:qualname` of a function or class, None if no other process could find it by a name.

    A class (a settings dataclass, an enum, a named tuple) may declare another name in keys,
    `__key_name__ = "old.module:Name"`, so that it can move without invalidating results. Only the class's own
    declaration counts: a subclass is a different class.

    Raises:
        UsageError: a declared name is not text, or two classes declare the same.

    Example:
        >>> lasting_name(Path)
        'pathlib:Path'
    """
    if isinstance(value, type) and "__key_name__" in vars(value):
        return _declared_name(value)
    return _plain_name(value)


def _plain_name(value: Any) -> str | None:
    owner = getattr(value, "__self__", None)
    if (
        isinstance(value, types.BuiltinFunctionType)
        and owner is not None
        and not isinstance(owner, types.ModuleType)
    ):
        return None
    qualname = getattr(value, "__qualname__", None)
    module = getattr(value, "__module__", None)
    if not qualname or not module or "<" in qualname:
        return None
    return f"{module_name(module)}:{qualname}"


def _declared_name(kind: type) -> str:
    name = vars(kind)["__key_name__"]
    here = f"{kind.__module__}:{kind.__qualname__}"
    if not isinstance(name, str) or not name:
        raise UsageError(f"{here} declares __key_name__ = {name!r}; it must be text, such as {here!r}")
    # compared by name, not by object: a cell that is run again and a reloaded module define the same class
    other = _DECLARED.setdefault(name, here)
    if other != here:
        raise UsageError(
            f"the classes {other} and {here} both declare __key_name__ = {name!r}, so their results could "
            "not be told apart; change one of the two"
        )
    return name


def wrapped_in(value: Any) -> Any:
    """The function that a decorator wrapped (`jax.jit`, `functools.cache`, `cachable`); None if nothing is.

    No `__getattr__` is asked: that of a dict with attributes may answer to every name, even by growing.

    Example:
        >>> wrapped_in(functools.cache(len))
        <built-in function len>
    """
    if not callable(value) or inspect.getattr_static(value, "__wrapped__", None) is None:
        return None
    return getattr(value, "__wrapped__", None)


def leads_back(value: Any) -> bool:
    """Whether the name of a function or class leads to itself, and not to another of the same name."""
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found: Any = sys.modules.get(module) if module else None
    for part in (qualname or "<").split("."):
        found = getattr(found, part, None)
    # a cachable function holds the function that it was made of
    return found is value or (found is not None and vars_of(found).get("function") is value)


def vars_of(value: Any) -> dict[str, Any]:
    """Return the attributes in an object's own `__dict__`, without asking the object's `__getattr__`."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else dict(found)


def function_name(function: Any) -> str:
    """Return the name under which a record knows a function, which need not lead back to it."""
    module = module_name(getattr(function, "__module__", None) or "builtins")
    return f"{module}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def module_name(module: str) -> str:
    """Return the name of a module, `__main__` resolved to the name under which its file would be imported."""
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules.get(module)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return spec.name.removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if file else "__main__"
