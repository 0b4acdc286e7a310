"""Identity: which function a result is of, beyond the bare name under which the store keeps it.

A function without a `table_name` is known by `module:qualname`, which its records name. Functions of one
`module:qualname` (closures of a factory, methods of several objects, partials) are told apart by what they
hold: it joins the dependencies, and thus the key. What can be told apart by neither is refused; so is what is
defined with `async def`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datajuicer import keys
from datajuicer.errors import UsageError

REMEDY = "pass it as an argument, or give cachable(table_name=…) a name of this function's own"

# Cells with these cannot change in place: they are read when a run is planned, as the call itself will.
_UNCHANGING = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, type)


def identity_of(function: Callable[..., Any]) -> dict[str, str]:
    """Return what a record says of its function: its name, and the file of a script or top-level module.

    Two folders may each hold a `train.py`; packages have one name each.
    """
    inner = _plain_function(function)
    found = {"name": keys.function_name(inner)}
    module = getattr(inner, "__module__", None)
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    if file and "." not in found["name"].partition(":")[0]:
        found["file"] = str(Path(file).absolute())
    return found


def is_other(mine: Mapping[str, str], recorded: Mapping[str, str]) -> bool:
    """Whether a record is of another function.

    A script that moved or was edited in its place is the same; two scripts of one name that are both there
    are two, unless one is a copy of the other.
    """
    if mine["name"] != recorded["name"]:
        return True
    files = Path(mine.get("file", "")), Path(recorded.get("file", ""))
    if files[0] == files[1] or not all(file.is_file() for file in files):
        return False
    return files[0].read_bytes() != files[1].read_bytes()


def refuse_async(function: Any) -> None:
    """Refuse a function whose call returns before anything is computed.

    Raises:
        UsageError: it is defined with `async def`.
    """
    method = inspect.getattr_static(type(function), "__call__", None)
    for called in (function, method):
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            name = getattr(function, "__qualname__", None) or type(function).__qualname__
            raise UsageError(
                f"{name} is defined with async def, and its call returns no result that could be kept; "
                "define it with def, and let it call asyncio.run(…)"
            )


def are_same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two function objects compute the same: equal, or of equal code with equal contents."""
    return one is other or one == other or keys.identity(one) == keys.identity(other)


def freeze(function: Callable[..., Any]) -> dict[str, str]:
    """Return digests of what a function's cells hold that can change in place, by name.

    Taken when the function is marked: a list that the function itself fills must not change its identity.
    """
    found: dict[str, str] = {}
    inner = _plain_function(function)
    for name, content in _cells(inner):
        if not isinstance(content, _UNCHANGING) and not callable(content):
            try:
                found[name] = keys.digest(_described(content, name, ()))
            except UsageError:
                continue  # told when a run is planned: the function may never be run without a table_name
    return found


def state_of(function: Callable[..., Any], frozen: Mapping[str, str]) -> dict[str, Any]:
    """Return what tells a function from others of its name: bound object, partial arguments, closure.

    Args:
        function: the function.
        frozen: of `freeze`.

    Raises:
        UsageError: something in it cannot be keyed.
    """
    found: dict[str, Any] = {}
    if isinstance(function, types.MethodType):
        found["(self)"] = _described(function.__self__, "its object", ())
    if isinstance(function, functools.partial):
        found["(partial)"] = _described((function.args, function.keywords), "its partial arguments", ())
    inner = _plain_function(function)
    if has_cells(inner) and not keys.leads_back(inner):
        found["(closure)"] = {
            name: frozen[name] if name in frozen else _described(content, name, (inner,))
            for name, content in _cells(inner)
        }
    return found


def has_cells(function: Any) -> bool:
    """Whether a function is a closure."""
    return bool(getattr(_plain_function(function), "__closure__", None))


def _plain_function(function: Any) -> Any:
    """The function inside of methods and partials."""
    while isinstance(function, (types.MethodType, functools.partial)):
        function = function.__func__ if isinstance(function, types.MethodType) else function.func
    return function


def _cells(function: Any) -> list[tuple[str, Any]]:
    """Name and content of the cells of a closure; a cell that is not filled yet is left out."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    found = []
    for name, cell in zip(code.co_freevars, cells, strict=True) if code and cells else ():
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            continue
    return found


def _described(value: Any, where: str, seen: tuple[Any, ...]) -> Any:  # noqa: PLR0911 - one line a kind
    """Turn what a function holds into values that can be keyed."""
    if any(value is one for one in seen):
        return ("again",)
    if isinstance(value, types.FunctionType) and not keys.leads_back(value):
        inside = {name: _described(c, f"{where}.{name}", (*seen, value)) for name, c in _cells(value)}
        return ("function", keys.function_name(value), inside)
    if isinstance(value, types.MethodType):
        own = _described(value.__self__, where, seen)
        return ("method", _described(value.__func__, where, seen), own)
    if isinstance(value, types.ModuleType):
        return ("module", keys.module_name(value.__name__))
    try:
        keys.digest(value)
    except (UsageError, RecursionError):
        pass
    else:
        return value
    if isinstance(value, type):
        return ("class", keys.function_name(value))
    inside = (*seen, value)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return [_described(item, f"{where}[{i}]", inside) for i, item in enumerate(value)]
    if type(value) is dict:
        return {name: _described(item, f"{where}.{name}", inside) for name, item in value.items()}
    if _is_plain_object(value):
        attributes = keys.vars_of(value)
        own = {name: _described(item, f"{where}.{name}", inside) for name, item in attributes.items()}
        return ("object", keys.function_name(type(value)), own)
    raise UsageError(
        f"it holds {where}, which is of type {type(value).__module__}.{type(value).__qualname__} and cannot "
        f"be keyed, so another function of this name could not be told apart; {REMEDY}"
    )


class _Plain:
    pass


def _is_plain_object(value: Any) -> bool:
    """Whether the attributes of an object are all of its state: neither slots nor a base written in C."""
    kind = type(value)
    return kind.__basicsize__ == _Plain.__basicsize__ and not kind.__itemsize__ and hasattr(kind, "__dict__")
