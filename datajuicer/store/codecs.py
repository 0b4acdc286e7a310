"""Codecs: how values of further types are stored as plain ones, and read back by declared names only.

A codec turns a value of exactly one type into plain values (what `values.encode` takes) and back. In a record
the value is `{"$value": [<name of the codec>, <plain values>]}`. Nothing is ever unpickled.
"""

from __future__ import annotations

import datetime
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from datajuicer.errors import UsageError
from datajuicer.store import classes, tables


@dataclass(frozen=True)
class Codec:
    """How values of one type are stored.

    Attributes:
        name: what records call it; it never changes.
        kind: the type itself; a subclass may hold more, so it is another type.
        encode: value → plain values.
        decode: plain values → an equal value.
    """

    name: str
    kind: type
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


_BY_KIND: dict[type, Codec] = {}
_BY_NAME: dict[str, Codec] = {}


def register(codec: Codec) -> None:
    """Add a codec, in every process that writes or reads such values.

    Raises:
        UsageError: its name or its type has another codec already.

    Example:
        >>> class Celsius:
        ...     def __init__(self, degrees): self.degrees = degrees
        >>> register(Codec("celsius", Celsius, lambda value: value.degrees, Celsius))
    """
    if codec.name in _BY_NAME or codec.kind in _BY_KIND or codec.name in (*classes.NAMES, *tables.NAMES):
        raise UsageError(
            f"there is a codec for {codec.kind.__qualname__} or of the name {codec.name!r} already"
        )
    _BY_KIND[codec.kind] = codec
    _BY_NAME[codec.name] = codec


def registered(value: Any) -> tuple[str, Any] | None:
    """Return the name and the plain values of the codec that is registered for a value's type, if one is."""
    codec = _BY_KIND.get(type(value))
    return None if codec is None else (codec.name, codec.encode(value))


def to_plain(value: Any, where: str, known: dict[str, type]) -> tuple[str, Any] | None:
    """Return the codec's name and the plain values, None if no codec takes the value.

    Args:
        value: the value.
        where: its place in the result, for messages.
        known: filled in with the classes that the value names.
    """
    return registered(value) or classes.to_plain(value, where, known) or tables.to_plain(value, where)


def from_plain(name: str, content: Any, known: Mapping[str, type]) -> Any:
    """Return the value that `to_plain` took apart.

    Raises:
        UsageError: there is no such codec here, it does not read what is stored, or the class that it names
            is not imported or has changed.
    """
    if name in classes.NAMES:
        return classes.from_plain(name, content, known)
    if name not in tables.NAMES and name not in _BY_NAME:
        raise UsageError(
            f"a record holds a value of the kind {name!r}; import the module that registers its codec, or "
            "update datajuicer"
        )
    try:
        return tables.from_plain(name, content) if name in tables.NAMES else _BY_NAME[name].decode(content)
    except UsageError:
        raise
    except Exception as error:
        if name in _BUILT_IN:
            raise  # these read whatever they wrote, so the record is damaged
        # of a user's codec or another pandas: the record may be sound
        raise UsageError(
            f"a record holds a value of the kind {name!r}, which its codec here does not read "
            f"({type(error).__name__}: {error}); use the code or the pandas that it was stored with"
        ) from error


def summary(name: str, content: Any) -> Any:
    """What a table shows of a value: nobody's class has to be imported for that, and no array to be read."""
    if name in ("dataclass", "namedtuple"):
        return content["fields"]
    if name == "enum":
        return f"{content['class'].rpartition(':')[2]}.{content.get('member', content['value'])}"
    return name if name in tables.NAMES else {"$value": [name, content]}


def _zone(zone: Any) -> Any:
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    if type(zone) is datetime.timezone:
        return [_timedelta(zone.utcoffset(None)), zone.tzname(None)]
    raise UsageError(
        f"a time of the zone {zone!r} cannot be stored; use zoneinfo.ZoneInfo or datetime.timezone"
    )


def _from_zone(zone: Any) -> datetime.tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        try:
            return ZoneInfo(zone)
        except ZoneInfoNotFoundError as error:
            raise UsageError(
                f"a record holds a time of the zone {zone!r}, which is unknown here; pip install tzdata"
            ) from error
    offset, name = zone
    plain = datetime.timezone(datetime.timedelta(*offset))
    return plain if plain.tzname(None) == name else datetime.timezone(datetime.timedelta(*offset), name)


def _timedelta(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _clock(value: Any) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo)]


def _from_clock(kind: Any) -> Callable[[Any], Any]:
    return lambda c: kind.fromisoformat(c[0]).replace(fold=c[1], tzinfo=_from_zone(c[2]))


for _codec in (
    Codec("date", datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    Codec("datetime", datetime.datetime, _clock, _from_clock(datetime.datetime)),
    Codec("time", datetime.time, _clock, _from_clock(datetime.time)),
    Codec("timedelta", datetime.timedelta, _timedelta, lambda c: datetime.timedelta(*c)),
    Codec("decimal", Decimal, str, Decimal),
    Codec("fraction", Fraction, lambda v: [v.numerator, v.denominator], lambda c: Fraction(*c)),
    Codec("range", range, lambda v: [v.start, v.stop, v.step], lambda c: range(*c)),
    Codec("slice", slice, lambda v: [v.start, v.stop, v.step], lambda c: slice(*c)),
    Codec("uuid", uuid.UUID, lambda v: v.hex, uuid.UUID),
    Codec("bytearray", bytearray, bytes, bytearray),
    Codec("ordered", OrderedDict, lambda v: [list(item) for item in v.items()], OrderedDict),
    Codec("counter", Counter, dict, Counter),
    Codec("deque", deque, lambda v: [list(v), v.maxlen], lambda c: deque(c[0], c[1])),
):
    register(_codec)
_BUILT_IN = frozenset(_BY_NAME)
