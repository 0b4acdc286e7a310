"""Whose code it is: the package of a function or class, and whether that is an installed library."""

from __future__ import annotations

import functools
import sys
import sysconfig
import types
from functools import lru_cache
from typing import Any

from datajuicer import keys


def top(module: str) -> str:
    """The package that a module belongs to; of a script or notebook, its name."""
    return keys.module_name(module or "").partition(".")[0]


def home_of(found: Any) -> set[str]:
    """The packages whose code counts for a function or class: where it is defined, wrappers or not."""
    modules: set[str] = set()
    while True:
        if isinstance(found, functools.partial):
            found = found.func
            continue
        if isinstance(found, types.MethodType):
            modules.add(type(found.__self__).__module__)
            found = found.__func__
        if isinstance(found, types.FunctionType):
            modules.add(found.__globals__.get("__name__") or "")
        owner = found if hasattr(found, "__qualname__") else type(found)
        modules.add(getattr(owner, "__module__", None) or "")
        if (inner := keys.wrapped_in(found)) is None:
            return {top(name) for name in modules} - {"builtins", "functools"}
        found = inner


@lru_cache(maxsize=4096)
def is_library(module: str) -> bool:
    """Whether a module is built in or lies where packages are installed."""
    if module in sys.builtin_module_names:
        return True
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", ())), None)
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is not None and any(str(file).startswith(f"{folder}/") for folder in folders if folder)


def is_loose(package: str) -> bool:
    """Whether a name is that of a script, a notebook or a single module that is not installed."""
    found = sys.modules.get(package)
    return package == "__main__" or found is None or not (hasattr(found, "__path__") or is_library(package))
