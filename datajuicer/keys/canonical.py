"""Canonical forms: types of the standard library and numpy whose value a few plain values say completely."""

from __future__ import annotations

import datetime
import functools
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from datajuicer.errors import UsageError


def _zone(value: Any) -> Any:
    """The time zone: its name in the time-zone database, else its offset."""
    zone = value.tzinfo
    if zone is None:
        return None
    offset = value.utcoffset()
    return getattr(zone, "key", None), offset and (offset.days, offset.seconds, offset.microseconds)


def _naive(value: Any) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="microseconds")


def _range(value: range) -> tuple[Any, ...]:
    # as Python compares ranges: by their items, however they are written
    return len(value), value[0] if value else None, value.step if len(value) > 1 else None


FORMS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    datetime.date: lambda value: (value.isoformat(),),
    datetime.datetime: lambda value: (_naive(value), value.fold, _zone(value)),
    datetime.time: lambda value: (_naive(value), value.fold, _zone(value)),
    datetime.timedelta: lambda value: (value.days, value.seconds, value.microseconds),
    Decimal: lambda value: tuple(value.as_tuple()),
    Fraction: lambda value: (value.numerator, value.denominator),
    uuid.UUID: lambda value: (value.hex,),
    range: _range,
    slice: lambda value: (value.start, value.stop, value.step),
    bytearray: lambda value: (bytes(value),),
    functools.partial: lambda value: (value.func, value.args, value.keywords),
}


def canonical(value: Any) -> tuple[str, tuple[Any, ...]] | None:
    """Return the kind of a value and the plain values that say it completely, None if there is no such form.

    Exact types only: a subclass may hold more than its base.

    Example:
        >>> canonical(range(0, 5, 2))
        ('range', (3, 0, 2))
    """
    kind = type(value)
    if kind in FORMS:
        return kind.__name__, FORMS[kind](value)
    np = sys.modules.get("numpy")
    if np is None:
        return None
    if isinstance(value, np.dtype):
        return "dtype", _dtype(value)
    if kind is np.ufunc:
        return ("ufunc", (f"numpy:{value.__name__}",)) if getattr(np, value.__name__, None) is value else None
    return None


def _dtype(dtype: Any) -> tuple[Any, ...]:
    if dtype.fields is not None or dtype.subdtype is not None:
        raise UsageError(f"the dtype {dtype} is structured and cannot be keyed; key its fields one by one")
    swapped = not dtype.isnative
    # .str tells width and unit of text and dates; ml_dtypes such as bfloat16 are told by their names only
    return dtype.name, dtype.newbyteorder("=").str.lstrip("<>=|"), swapped
