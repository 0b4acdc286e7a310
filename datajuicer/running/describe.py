"""What a record says of the arguments of a call: its dependencies, and the others as context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datajuicer.running.cachable import Cachable
from datajuicer.running.code.provenance import Code
from datajuicer.running.plan import Call
from datajuicer.store import values

CONTEXT_LIMIT = 4000  # characters of other arguments that a record keeps
HASHED = 1 << 20  # bytes up to which an array that is no dependency is told apart by its digest


def with_description(call: Call, code: Code | None) -> Call:
    """Return a call with its code, and with the fields `dependencies` and `context` of its record.

    Added before the call is made, which may change its arguments.
    """
    if call.described is not None:
        return call
    dependencies = {name: values.describe(value) for name, value in call.dependencies.items()}
    described = {"dependencies": dependencies, "context": _context(call)}
    return replace(call, described=described, code=code)


def _context(call: Call) -> dict[str, Any]:
    """Return the arguments that are no dependencies, up to a total size."""
    function = call.function
    whole = (
        {d.parameter for d in function.dependencies if d.key is None}
        if isinstance(function, Cachable)
        else set()
    )
    context: dict[str, Any] = {}
    room = CONTEXT_LIMIT
    for name, value in call.arguments.items():
        if name in whole:
            continue
        items = value.items() if isinstance(value, dict) else [(None, value)]
        for key, inner in items:
            if f"{name}:{key}" in call.dependencies:
                continue
            described = describe_safely(inner)
            size = len(str(described)) + len(str(key))
            if size <= room:
                room -= size
                context[name if key is None else f"{name}:{key}"] = described
    return context


def describe_safely(value: Any) -> Any:
    """Describe a value that only people read: this must never cost a result."""
    if hasattr(type(value), "nbytes") and value.nbytes > HASHED:
        return {"$unknown": f"{value.dtype}{list(value.shape)}"}  # hashing it could cost more than the call
    try:
        return values.describe(value)
    except Exception:
        return {"$unknown": f"{type(value).__module__}.{type(value).__qualname__}"}
