"""Encoding: the bytes of a value, and the key of a result.

A key is BLAKE2b-160 over a canonical encoding of the function's name, its declared version and its
dependencies. The encoding is type-tagged and length-prefixed and never uses `repr`, `id`, `hash()`, pickle,
the order of a dict or the locale, so a key is the same in every process, on every machine and under every
Python version:

====================================  ========================================================================
value                                 rule
====================================  ========================================================================
`1`, `1.0`, `True`, `"1"`             four different keys
float                                 IEEE-754 bytes; all NaN are one, -0.0 differs from 0.0
list, tuple, dict, set                different tags; a dict by the order of its encoded keys
numpy scalar                          dtype name and bytes; not equal to the Python number
numpy and jax array                   one tag for both: dtype name, shape, C-order bytes
jax PRNG key                          name of the implementation and key data
Path, dataclass, named tuple          tags of their own, with the lasting name of the class (see `names`)
Enum                                  lasting name of the class and name of the member; its value stands in
                                      the record, and a result of another value is no hit
function, class                       `module:qualname`, which must lead back to it; a lambda or closure is an
                                      error
date, Decimal, range, dtype, …        the plain values that say them completely (see `canonical`)
state beyond fields and items         what subclasses of a dataclass, named tuple or dict add: like an enum's
                                      value
anything else                         UsageError, unless an encoder turns it into one of the above
====================================  ========================================================================
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import PurePath
from struct import Struct
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.keys.arrays import PrngKey, array_content, as_array
from datajuicer.keys.canonical import canonical
from datajuicer.keys.kept import DIGEST_SIZE
from datajuicer.keys.names import lasting_name, leads_back, wrapped_in
from datajuicer.keys.once import ENCODED, MANY
from datajuicer.keys.state import state_beyond
from datajuicer.template import Literal

Encoders = Mapping[type, Callable[[Any], Any]]
Fallback = Callable[[Any, str], Any]
# Where a value stands: text; or the place of what holds it, how to add to that, and a key or an index. Text
# is made of it only for messages: making it for every value would take as long as encoding the value.
Place = str | tuple["Place", str, Any]

_pack = Struct(">d").pack
_NAN = _pack(float("nan"))


def _shown(where: Place) -> str:
    if isinstance(where, str):
        return where
    holder, form, name = where
    before = _shown(holder)
    return before + form % (name,) if before or form != ".%s" else str(name)


def _text(value: str) -> bytes:
    text = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(text), text)


@functools.lru_cache(maxsize=4096)
def _whole_number(value: int) -> bytes:
    text = b"%x" % value
    return b"i%d:%b" % (len(text), text)


def _number(value: float) -> bytes:
    return b"f" + (_pack(value) if value == value else _NAN)  # noqa: PLR0124 - NaN is not itself


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    str: _text,
    int: _whole_number,
    float: _number,
    bool: lambda value: b"T" if value else b"F",
    type(None): lambda value: b"N",
}
_name = functools.lru_cache(maxsize=4096)(_text)  # for keys of dicts, which the points of a grid share


def result_key(
    function: str, version: Any, dependencies: Mapping[str, Any], encoders: Encoders | None = None
) -> str:
    """Return the key of a result.

    Args:
        function: the name of the function in the store.
        version: its declared version.
        dependencies: the name and value of everything the result depends on.
        encoders: for types that have no rule of their own: a function that gives a value which has one.

    Raises:
        UsageError: a value cannot be keyed; the message says where it stands, what it is and what to do.
    """
    return key_and_omitted(function, version, dependencies, encoders)[0]


def key_and_omitted(
    function: str, version: Any, dependencies: Mapping[str, Any], encoders: Encoders | None = None
) -> tuple[str, dict[str, list[Any]]]:
    """Return `result_key`, and what the values hold that the key omits.

    A key names an enum member without its value, and a dataclass, named tuple or dict without the attributes
    that a subclass adds: so it was when the first results were stored, and they stay valid. What is omitted
    goes into the record, which tells such results apart (`running.omitted`).

    Returns:
        The key; and by label (`class.member`, `state of path`) a list of values.
    """
    omitted: dict[str, list[Any]] = {}
    encoder = Encoder(encoders, omitted=omitted)
    try:
        parts = _name(function), encoder(version, "the version"), encoder(dependencies, "")
    except RecursionError:
        raise UsageError(
            f"a dependency of {function} contains itself, or is nested too deeply, and cannot be keyed; "
            "leave it out"
        ) from None
    key = blake2b(b"datajuicer 1\n" + b"".join(parts), digest_size=DIGEST_SIZE).hexdigest()
    return key, omitted


def digest(value: Any, encoders: Encoders | None = None) -> str:
    """Return the digest of one value, by the same rules as a key."""
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
    """Encodes values to bytes; `where` is the path to the value, for the error message.

    Args:
        encoders: for types without a rule of their own.
        fallback: called for values that have no rule; default: an error.
        omitted: where a key's omissions go (see `key_and_omitted`); without it, state is encoded.
    """

    def __init__(
        self,
        encoders: Encoders | None = None,
        fallback: Fallback | None = None,
        omitted: dict[str, list[Any]] | None = None,
    ):
        self.encoders = encoders or {}
        self.fallback = fallback or _refuse
        self.omitted = omitted

    def __call__(self, value: Any, where: Place) -> bytes:
        """The canonical bytes of a value."""
        kind = type(value)
        if kind in _PLAIN:
            return _PLAIN[kind](value)
        if kind is dict:
            return self._dict(value, where) if len(value) < MANY else self._once(self._dict, value, where)
        if kind is list or kind is tuple:
            return self._list(value, where) if len(value) < MANY else self._once(self._list, value, where)
        return self._rare(value, kind, _shown(where))

    def _list(self, value: Any, where: Place) -> bytes:
        items = [
            _PLAIN[type(item)](item) if type(item) in _PLAIN else self(item, (where, "[%s]", i))
            for i, item in enumerate(value)
        ]
        return b"%b%d:%b" % (b"l" if type(value) is list else b"t", len(items), b"".join(items))

    def _once(self, encode: Callable[[Any, Place], bytes], value: Any, where: Place) -> bytes:
        """Encode a large value, or return its bytes if it was encoded before within `encoding_once`."""
        known = ENCODED.get()
        if known is None:
            return encode(value, where)
        name = (id(value), self.fallback, self.omitted is None, *self.encoders.items())
        if name in known:
            return known[name][1]
        before = sum(map(len, self.omitted.values())) if self.omitted else 0
        encoded = encode(value, where)
        if (sum(map(len, self.omitted.values())) if self.omitted else 0) == before:  # nothing more to omit
            known[name] = value, encoded  # the value too: its id stays its own
        return encoded

    def _dict(self, value: dict[Any, Any], where: Place) -> bytes:
        items = [
            (_name(key) if type(key) is str else self(key, where))
            + (_PLAIN[type(item)](item) if type(item) in _PLAIN else self(item, (where, ".%s", key)))
            for key, item in value.items()
        ]
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
            class_name = _name_of(kind, where)
            if self.omitted is not None:
                self.omitted.setdefault(f"{class_name}.{name}", []).append(value.value)
            elif self.fallback is _describe:  # two definitions of an enum in one process
                return self._tagged(b"E", class_name, name, value.value, where=where)
            return self._tagged(b"E", class_name, name, where=where)
        # looked up on the class: dicts that answer to any attribute must neither be asked nor written to
        if hasattr(kind, "__datajuicer_key__"):
            parts = value.__datajuicer_key__()
            if hasattr(kind, "__datajuicer_omitted__") and (more := value.__datajuicer_omitted__()):
                if self.omitted is None:
                    parts = (*parts, more)
                else:
                    self.omitted.setdefault(f"state of {where}", []).append(more)
            return self._tagged(b"K", *parts, where=where)
        if dataclasses.is_dataclass(kind):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return self._with_state(b"D", value, fields, fields, where)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return self._with_state(b"D", value, tuple(value), {}, where)
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)) or (
            wrapped_in(value) is not None
        ):
            name = lasting_name(value)
            if name is not None and (isinstance(value, types.BuiltinFunctionType) or _is_named(value)):
                return self._tagged(b"Q", name, where=where)
        if isinstance(value, dict):  # OrderedDict, defaultdict: equal contents, equal key
            if (state := state_beyond(value, {})) and self.omitted is None:
                return self._tagged(b"M", dict(value), state, where=where)
            if state:
                self._omit(state, where)
            return self._dict(dict(value), where)
        if (form := canonical(value)) is not None:
            return self._tagged(b"Z", *form, where=where)
        if (array := as_array(value, where)) is not None:
            if getattr(array, "nbytes", 0) < MANY:
                return self._array(array, where)
            return self._once(lambda *_: self._array(array, where), value, where)
        return self._tagged(b"?", self.fallback(value, where), where=where)

    def _array(self, array: Any, where: str) -> bytes:
        if isinstance(array, PrngKey):
            return b"R" + self((array.implementation,), where) + self._array(array.data, where)
        tag, kind_and_shape, content = array_content(array, where)
        return tag + self(kind_and_shape, where) + content

    def _with_state(
        self, tag: bytes, value: Any, content: Any, known: Mapping[str, Any], where: str
    ) -> bytes:
        """Encode an instance: the name of its class, its content, and its state beyond that, if any."""
        parts = [_name_of(type(value), where), content]
        if state := state_beyond(value, known):
            if self.omitted is None:
                parts.append(state)
            else:
                self._omit(state, where)
        return self._tagged(tag, *parts, where=where)

    def _omit(self, state: dict[str, Any], where: str) -> None:
        assert self.omitted is not None
        Encoder(self.encoders, self.fallback)(state, where)  # only what can be keyed can be told apart
        self.omitted.setdefault(f"state of {where}", []).append(state)


def _is_named(value: Any) -> bool:
    """Whether the name of a function or class means this one; the interpreter's own need not be reachable."""
    return leads_back(value) or (isinstance(value, type) and value.__module__ == "builtins")


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
    if isinstance(value, (types.FunctionType, type)) and lasting_name(value) is not None:
        kind = "class" if isinstance(value, type) else "function"
        raise UsageError(
            f"{what} is the {kind} {lasting_name(value)}, but that is no lasting name: it leads to another "
            f"{kind} (defined again, in a loop or by a decorator), so their results could not be told apart. "
            f"Give each {kind} a name of its own at the top level of a module, or leave it out of the "
            "dependencies"
        )
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
    if isinstance(value, types.MethodType):
        return ("method", value.__func__, value.__self__)
    if isinstance(value, types.CodeType):
        return ("code", value.co_code, value.co_consts, value.co_names)
    return ("object", id(value))
