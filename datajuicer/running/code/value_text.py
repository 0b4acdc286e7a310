"""Values as texts that differ where the values do: constants that functions read, attributes, defaults."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from typing import Any, Protocol

from datajuicer import keys
from datajuicer.running.code.members import content_of
from datajuicer.running.code.packages import top

_MAX_ARRAY = 1 << 24  # bytes; of a larger array, dtype and shape count
_MAX_ITEMS = 10_000  # of a larger container, the length counts
_MAX_DEPTH = 8
_LEAVES = (bool, int, float, complex, str, bytes, type(None))
CONTAINERS = (list, tuple, dict, set, frozenset, types.MappingProxyType)


class Walk(Protocol):
    """Looks at the code that values hold, and knows which of it counts."""

    met: dict[int, Any]

    def is_ours(self, module: str) -> bool:
        """Whether the code of a module counts."""
        ...

    def enqueue(self, found: types.FunctionType | type) -> None:
        """Have a function or class looked at."""
        ...


class ValueText:
    """Writes a value as text, and has the code that it holds looked at."""

    def __init__(self, walk: Walk):
        self.walk = walk
        self.is_mutable = False

    def __call__(self, value: Any, depth: int = 0) -> str:  # noqa: PLR0911 - one line a kind
        """The text of any value."""
        kind = type(value)
        if kind in _LEAVES:
            return keys.digest(value)
        if depth > _MAX_DEPTH:
            return "…"
        if isinstance(value, type | types.FunctionType):
            return self._code(value, depth)
        if isinstance(value, types.MethodType):
            return f"method {self(value.__func__, depth + 1)} of {self(value.__self__, depth + 1)}"
        if isinstance(value, functools.partial):
            return f"partial {self((value.func, value.args, value.keywords), depth + 1)}"
        if isinstance(value, enum.Enum):
            return f"{self(kind, depth + 1)}.{value.name}"
        if isinstance(value, CONTAINERS):
            return self._container(value, depth)
        if is_array(value):
            self.is_mutable |= kind.__name__ == "ndarray"
            return keys.digest(value) if value.nbytes <= _MAX_ARRAY else f"{value.dtype}{value.shape}"
        if (inner := keys.wrapped_in(value)) is not None:  # jax.jit, functools.cache, cachable
            return f"{_name(kind)} of {self(inner, depth + 1)}"
        if isinstance(value, types.BuiltinFunctionType) or hasattr(value, "__qualname__"):
            return _name(value)
        return self._instance(value, depth)

    def _code(self, value: Any, depth: int) -> str:
        module = value.__module__ if isinstance(value, type) else value.__globals__.get("__name__", "")
        if self.walk.is_ours(module or ""):
            self.walk.enqueue(value)
            return short(value.__qualname__)
        if isinstance(value, types.FunctionType):  # of a library; it may be a decorator around ours
            for content in map(content_of, value.__closure__ or ()):
                if isinstance(content, type | types.FunctionType) and id(content) not in self.walk.met:
                    module = getattr(content, "__module__", None) or ""
                    if self.walk.is_ours(module):
                        self(content, depth + 1)
        return _name(value)

    def _container(self, value: Any, depth: int) -> str:
        self.is_mutable |= not isinstance(value, tuple | frozenset)
        kind = self(type(value), depth + 1)
        if len(value) > _MAX_ITEMS:
            return f"{kind} of {len(value)}"
        if isinstance(value, dict | types.MappingProxyType):
            items = [f"{self(k, depth + 1)}: {self(v, depth + 1)}" for k, v in value.items()]
            return f"{kind} {sorted(items)}"
        items = [self(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            items.sort()
        return f"{kind} {items}"

    def _instance(self, value: Any, depth: int) -> str:
        kind = type(value)
        if not self.walk.is_ours(kind.__module__):
            return _name(kind)
        name = self(kind, depth + 1)
        if dataclasses.is_dataclass(value):
            state = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
            frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
            self.is_mutable |= not frozen
        else:
            state = vars(value) if _has_state(value) else {}
            self.is_mutable = True
        items = [f"{key}={self(content, depth + 1)}" for key, content in sorted(state.items())]
        return f"{name}({', '.join(items)})"


def _has_state(value: Any) -> bool:
    return isinstance(getattr(value, "__dict__", None), dict)


def is_array(value: Any) -> bool:
    """Whether a value is an array or a number of numpy or jax that can be told by its content."""
    if not hasattr(type(value), "nbytes"):
        return False
    try:
        array = keys.as_array(value)
    except Exception:
        return False  # traced
    dtype = getattr(array, "dtype", None)
    return dtype is not None and not dtype.hasobject and dtype.fields is None


def _name(value: Any) -> str:
    module = getattr(value, "__module__", None) or ""
    return f"{top(module)}:{getattr(value, '__qualname__', None) or getattr(value, '__name__', '?')}"


def short(qualname: str) -> str:
    """A qualified name without the mark of what is defined inside of functions."""
    return qualname.replace("<locals>.", "")
