"""Keys: what a result is called.

A key is BLAKE2b-160 over a canonical encoding of the function's name, its declared version and its
dependencies. The encoding is type-tagged and length-prefixed and never uses `repr`, `id`, `hash()`, pickle,
the order of a dict or the locale, so a key is the same in every process, on every machine and under every
Python version:

====================================  ========================================================================
value                                 rule
====================================  ========================================================================
`1`, `1.0`, `True`, `"1"`             four different keys
float                                 IEEE-754 bytes; all NaN are one, -0.0 differs from 0.0
list, tuple, dict, set                different tags; a dict by the order of its encoded keys, not of
insertion numpy scalar                          dtype name and bytes; not equal to the Python number
numpy and jax array                   one tag for both: dtype name, shape, C-order bytes
jax PRNG key                          name of the implementation and key data
Path, Enum, dataclass, named tuple    tags of their own, with `module:qualname` of the class
function, class                       `module:qualname`; a lambda or a closure has no lasting name and is an
error anything else                         UsageError, unless an encoder turns it into one of the above
====================================  ========================================================================
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import isnan
from pathlib import Path, PurePath
from struct import pack
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.template import Literal

DIGEST_SIZE = 20  # bytes; 160 bits

Encoders = Mapping[type, Callable[[Any], Any]]
Fallback = Callable[[Any, str], Any]

_NAN = pack(">d", float("nan"))


def result_key(
    function: str, version: Any, dependencies: Mapping[str, Any], encoders: Encoders | None = None
) -> str:
    """The key of a result.

    Args:
        function: the name of the function in the store.
        version: its declared version.
        dependencies: the name and value of everything the result depends on.
        encoders: for types that have no rule of their own: a function that gives a value which has one.

    Raises:
        UsageError: a value cannot be keyed; the message says where it stands, what it is and what to do.
    """
    encoder = Encoder(encoders)
    try:
        parts = (
            encoder(function, "the function's name"),
            encoder(version, "the version"),
            encoder(dependencies, ""),
        )
    except RecursionError:
        raise UsageError(
            f"a dependency of {function} contains itself and cannot be keyed; leave it out"
        ) from None
    return blake2b(b"datajuicer 1\n" + b"".join(parts), digest_size=DIGEST_SIZE).hexdigest()


def digest(value: Any, encoders: Encoders | None = None) -> str:
    """The digest of one value, by the same rules as a key."""
    return blake2b(Encoder(encoders)(value, ""), digest_size=DIGEST_SIZE).hexdigest()


def identity(value: Any) -> str:
    """Like `digest`, but total: what cannot be keyed is told apart by its code, or else by being the same
    object.

    Only for use inside one process, to find duplicates in a grid.
    """
    try:
        return blake2b(Encoder(None, _describe)(value, ""), digest_size=DIGEST_SIZE).hexdigest()
    except (RecursionError, UsageError):
        return f"object {id(value)}"


class Encoder:
    """Encodes values to bytes; `where` is the path to the value, for the error message."""

    def __init__(self, encoders: Encoders | None = None, fallback: Fallback | None = None):
        self.encoders = encoders or {}
        self.fallback = fallback or _refuse

    def __call__(self, value: Any, where: str) -> bytes:  # noqa: PLR0911 - one line a type
        """The canonical bytes of a value."""
        kind = type(value)
        if kind is str:
            text = value.encode("utf-8", "surrogatepass")
            return b"s%d:%b" % (len(text), text)
        if kind is int:
            text = b"%x" % value
            return b"i%d:%b" % (len(text), text)
        if kind is float:
            return b"f" + (pack(">d", value) if not isnan(value) else _NAN)
        if kind is bool:
            return b"T" if value else b"F"
        if value is None:
            return b"N"
        if kind is dict:
            return self._dict(value, where)
        if kind is list or kind is tuple:
            items = [self(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return b"%b%d:%b" % (b"l" if kind is list else b"t", len(items), b"".join(items))
        return self._rare(value, kind, where)

    def _dict(self, value: dict[Any, Any], where: str) -> bytes:
        items = [self(k, where) + self(v, f"{where}.{k}" if where else str(k)) for k, v in value.items()]
        items.sort()
        return b"d%d:%b" % (len(items), b"".join(items))

    def _tagged(self, tag: bytes, *parts: Any, where: str) -> bytes:
        return tag + self(parts, where)

    def _rare(self, value: Any, kind: type, where: str) -> bytes:  # noqa: PLR0911, PLR0912 - one line a rule
        if kind in self.encoders:
            return self._tagged(b"X", _name_of(kind, where), self.encoders[kind](value), where=where)
        if isinstance(value, Literal):
            return self(str(value), where)
        if kind is bytes:
            return b"y%d:%b" % (len(value), value)
        if kind is complex:
            return b"c" + self(value.real, where) + self(value.imag, where)
        if kind in (set, frozenset):
            items = sorted(blake2b(self(item, where), digest_size=DIGEST_SIZE).digest() for item in value)
            return b"S%d:%b" % (len(items), b"".join(items))
        if isinstance(value, PurePath):
            return self._tagged(b"P", value.as_posix(), where=where)
        if isinstance(value, enum.Enum):
            name = value.name if value.name is not None else value.value
            return self._tagged(b"E", _name_of(kind, where), name, where=where)
        if hasattr(value, "__datajuicer_key__") and not isinstance(value, type):
            return self._tagged(b"K", *value.__datajuicer_key__(), where=where)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return self._tagged(b"D", _name_of(kind, where), fields, where=where)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return self._tagged(b"D", _name_of(kind, where), tuple(value), where=where)
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            name = lasting_name(value)
            if name is not None:
                return self._tagged(b"Q", name, where=where)
        if isinstance(value, dict):  # OrderedDict, defaultdict: equal contents, equal key
            return self._dict(dict(value), where)
        if (array := as_array(value, where)) is not None:
            return _array(array, where)
        return self._tagged(b"?", self.fallback(value, where), where=where)


def _array(array: Any, where: str) -> bytes:
    import numpy as np

    if isinstance(array, _PrngKey):
        return b"R" + Encoder()((array.implementation,), where) + _array(array.data, where)
    if array.dtype.hasobject:
        raise UsageError(
            f"{where or 'an array'} has dtype object and cannot be keyed; give it a numeric dtype"
        )
    if array.dtype.fields is not None:
        raise UsageError(
            f"{where or 'an array'} is a structured array and cannot be keyed; key its fields one by one"
        )
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    data = np.ascontiguousarray(array).reshape(array.shape)
    content = (
        blake2b(data.reshape(-1).view(np.uint8).data, digest_size=DIGEST_SIZE).digest() if data.size else b""
    )
    tag = b"n" if isinstance(array, np.generic) else b"a"
    return tag + Encoder()((array.dtype.name, tuple(map(int, array.shape))), where) + content


@dataclasses.dataclass(frozen=True)
class _PrngKey:
    implementation: str
    data: Any


def as_array(value: Any, where: str = "") -> Any:
    """The value as a numpy array or scalar, or None if it is neither that nor a jax array. Imports no jax."""
    np = sys.modules.get("numpy")
    if np is None:
        return None
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "__array__"):
        if str(getattr(value, "dtype", "")).startswith("key<"):
            random = sys.modules["jax"].random  # there is a key, so jax is imported already
            return _PrngKey(str(random.key_impl(value)), np.asarray(random.key_data(value)))
        try:
            return np.asarray(value)
        except Exception:
            raise UsageError(
                f"{where or 'an argument'} is a traced jax value; call run outside of jit"
            ) from None
    return None


def lasting_name(value: Any) -> str | None:
    """`module:qualname` of a function or class, or None if it has no name that another process could know.

    A class may declare another name in keys, `__key_name__ = "old.module:Name"`, so that it can move without
    invalidating results. Only the class's own declaration counts: a subclass is a different class.
    """
    if isinstance(value, type) and "__key_name__" in vars(value):
        return vars(value)["__key_name__"]
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
    # functools.wraps lends a name to functions that close over different things
    borrowed = getattr(value, "__closure__", None) or hasattr(value, "__wrapped__")
    if isinstance(value, types.FunctionType) and borrowed and not _is_found(value, module, qualname):
        return None
    return f"{module_name(module)}:{qualname}"


def _is_found(value: Any, module: str, qualname: str) -> bool:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found is value or getattr(found, "function", None) is value  # a cachable function holds its own


def module_name(module: str) -> str:
    """The name of a module, `__main__` resolved to the name under which its file would be imported."""
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules.get(module)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return spec.name.removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def _name_of(kind: type, where: str) -> str:
    name = lasting_name(kind)
    if name is None:
        raise UsageError(
            f"{where or 'a value'} is of the class {kind.__qualname__!r}, which is defined inside a function "
            "and has no lasting name; move the class to the top level of its module"
        )
    return name


def _refuse(value: Any, where: str) -> Any:
    what = where or "the value"
    if isinstance(value, types.FunctionType):
        raise UsageError(
            f"{what} is a lambda or a function defined inside another; it has no lasting name and cannot be "
            "keyed. Define it with def at the top level of a module, or leave it out of the dependencies"
        )
    raise UsageError(
        f"{what} is of type {type(value).__module__}.{type(value).__qualname__} and cannot be keyed. Leave "
        "it out of the dependencies, name the sub-keys that matter (dependencies=['model:seed']), or give "
        "cachable(encoders={Type: function}) a function that turns it into plain values"
    )


def _describe(value: Any, where: str) -> Any:
    """What tells two objects apart that cannot be keyed: a function's code and what it closes over, or
    identity.
    """
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = (value.__defaults__, value.__kwdefaults__)
        return ("function", value.__module__, value.__qualname__, value.__code__, cells, defaults)
    if isinstance(value, types.CodeType):
        return ("code", value.co_code, value.co_consts, value.co_names)
    return ("object", id(value))
