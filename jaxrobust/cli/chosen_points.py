"""The points that ``-only`` keeps: words such as ``architecture=cnn`` or ``method=Beta``."""

from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj
from jaxrobust.errors import InputError
from jaxrobust.settings import as_text, from_text, nearest

Point = Mapping[str, Any]

_SHOWN = 12  # values that an error lists
_ABSENT = object()


def only(grid: Sequence[Point], words: Sequence[str]) -> list[dict[str, Any]]:
    """Keep the points whose settings are as typed; of several values of one setting, any.

    Args:
        grid: Points of one stage.
        words: ``setting=value``; a setting inside of another has its path, ``method.attack.size=0.1``. For
            what is no number or word, such as a network, the value is the name of its class.

    Raises:
        InputError: A word without ``=``, a setting that no point has, or nothing is left.

    Example:
        >>> only([{"seed": 0, "method": "Beta"}, {"seed": 1, "method": "Beta"}], ["seed=1", "method=Beta"])
        [{'seed': 1, 'method': 'Beta'}]
    """
    kept = [dict(point) for point in grid]
    for name, texts in _by_setting(words).items():
        values = [_value(point, name) for point in grid]
        if all(value is _ABSENT for value in values):
            known = sorted({key for point in grid for key in point if not _is_compute(point[key])})
            raise InputError(f"-only: no model has a setting {name!r}.{nearest(name, known)}")
        kept = [point for point in kept if any(_is_named(_value(point, name), name, text) for text in texts)]
        if not kept:
            found = list(dict.fromkeys(_text(value) for value in values if value is not _ABSENT))
            more = ", …" if len(found) > _SHOWN else ""
            raise InputError(
                f"-only: no model is left with {name}={' or '.join(texts)}; there are "
                f"{', '.join(found[:_SHOWN])}{more}."
            )
    return kept


def _by_setting(words: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise InputError(f"-only={word} must name a setting and its value, as in -only=architecture=cnn.")
        found.setdefault(name, []).append(text)
    return found


def _value(point: Point, path: str) -> Any:
    name, _, rest = path.partition(".")
    value = point.get(name, _ABSENT)
    while rest and value is not _ABSENT:
        name, _, rest = rest.partition(".")
        value = getattr(value, name, _ABSENT)
    return value


def _is_named(value: Any, name: str, text: str) -> bool:
    if value is _ABSENT:
        return False
    if text in (_text(value), type(value).__name__):
        return True
    try:
        if isinstance(value, bool):
            return from_text(name, text, value) == value
        return isinstance(value, int | float) and float(text) == value
    except ValueError:  # InputError too
        return False


def _text(value: Any) -> str:
    is_plain = value is None or isinstance(value, bool | int | float | str | tuple)
    return as_text(value) if is_plain else type(value).__name__


def _is_compute(value: Any) -> bool:
    return isinstance(value, dj.Cachable | dj.Parent)
