"""Typed words of new studies: dotted paths into the settings that grid points hold.

``-method.attack.size=0.03`` sets the field ``size`` of the field ``attack`` of ``point["method"]``, a frozen
dataclass, read as the type that the dataclass declares.
"""

import dataclasses
import enum
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import datajuicer as dj
from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.networks.own.registry import OwnNetwork
from jaxrobust.settings import as_text, from_text, nearest, no_such
from jaxrobust.studies.named import named_in_place_of

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def configured(grid: list[dict[str, Any]], settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Set typed words in every grid point that has them.

    Raises:
        InputError: No point has such a setting, or the text cannot be read as its type.
    """
    for word, text in settings.items():
        text = data.identify(text) if word == "dataset" else text  # noqa: PLW2901
        changed = [_changed(point, word, text) for point in grid]
        if not any(isinstance(point, dict) for point in changed):
            raise next(error for error in changed if isinstance(error, InputError))
        grid = [new if isinstance(new, dict) else old for new, old in zip(changed, grid, strict=True)]
    return dj.make_unique(grid)


def words_of(point: Mapping[str, Any]) -> Iterator[str]:
    """Every word that can be typed for a grid point, with its value: ``-method.attack.size=0.1``."""
    for name, value in point.items():
        yield from _words(str(name), value)


def _words(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dj.Cachable | dj.Parent):
        return
    if isinstance(value, OwnNetwork):
        for setting, of_setting in value.settings:
            yield from _words(f"{name}.{setting}", of_setting)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _words(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, bool | int | float | str):
        yield f"-{name}={value}"
    elif isinstance(value, tuple) and all(isinstance(item, bool | int | float | str) for item in value):
        yield f"-{name}={as_text(value)}"


class _NoSuchSetting(InputError):
    """A point does not have the setting, which others of its grid may have."""


def _changed(point: dict[str, Any], word: str, text: str) -> dict[str, Any] | _NoSuchSetting:
    name, _, rest = word.partition(".")
    if name not in point or isinstance(point[name], dj.Cachable | dj.Parent):
        known = [key for key, value in point.items() if not isinstance(value, dj.Cachable | dj.Parent)]
        return _NoSuchSetting(no_such("setting", name, known))
    try:
        return {**point, name: _set(point[name], rest, word, text, type(point[name]))}
    except _NoSuchSetting as error:
        return error


def _set(value: Any, path: str, word: str, text: str, declared: Any) -> Any:
    if not path:
        return _read(word, text, declared, value)
    if isinstance(value, OwnNetwork):
        known = dict(value.settings)
        return value.with_settings(**{path: from_text(word, text, known[path]) if path in known else text})
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        outer = word.removesuffix(f".{path}")
        raise _NoSuchSetting(f"-{word}: {outer} is {value!r}, which has no settings of its own.")
    name, _, rest = path.partition(".")
    known = [field.name for field in dataclasses.fields(value) if field.init]
    if name not in known:
        raise _NoSuchSetting(
            f"{type(value).__name__} has no setting {name!r}, only {', '.join(known)}.{nearest(name, known)}"
        )
    declared = get_type_hints(type(value)).get(name, Any)
    try:
        return dataclasses.replace(value, **{name: _set(getattr(value, name), rest, word, text, declared)})
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"-{word}={text}: {error}") from error


def _read(word: str, text: str, declared: Any, value: Any) -> Any:
    """Read a text as a declared type; a type that says nothing is that of the present value."""
    options = get_args(declared) if get_origin(declared) in (Union, types.UnionType) else (declared,)
    for option in options:
        if option is type(None) and text.lower() in ("none", ""):
            return None
        found = _read_as(text, option)
        if found is not _UNREAD:
            return found
    if dataclasses.is_dataclass(value) and (named := named_in_place_of(value, text)) is not None:
        return named
    if dataclasses.is_dataclass(value):
        raise InputError(f"-{word} is {value!r} and cannot be typed; set one of its settings: -{word}.name=…")
    is_plain = isinstance(value, bool | int | float | str) or (isinstance(value, tuple) and value)
    if is_plain and set(options) <= {Any, tuple}:
        return from_text(word, text, value)
    raise InputError(f"-{word}={text}: {word} must be {' or '.join(map(_name, options))}, such as {value!r}.")


_UNREAD = object()
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", type(None): "none"}


def _read_as(text: str, declared: Any) -> Any:  # noqa: PLR0911 - one line per type
    origin = get_origin(declared)
    try:
        if origin is Literal:
            return next((option for option in get_args(declared) if str(option) == text), _UNREAD)
        if origin is tuple:
            kinds = get_args(declared)
            items = [item.strip() for item in text.strip("()[] ").split(",") if item.strip()]
            each = kinds[:1] * len(items) if len(kinds) == 2 and kinds[1] is ... else kinds
            found = tuple(_read_as(item, kind) for item, kind in zip(items, each, strict=True))
            return _UNREAD if _UNREAD in found else found
        if declared is bool:
            return _WORDS.get(text.lower(), _UNREAD)
        if declared in (int, float, str):
            return declared(text)
        if isinstance(declared, type) and issubclass(declared, enum.Enum):
            return next((item for item in declared if text in (item.name, str(item.value))), _UNREAD)
    except ValueError:
        return _UNREAD
    return _UNREAD


def _name(declared: Any) -> str:
    if declared in _NAMES:
        return _NAMES[declared]
    if get_origin(declared) is Literal:
        return "one of " + ", ".join(map(str, get_args(declared)))
    if get_origin(declared) is tuple:
        return "values separated by commas"
    if isinstance(declared, type) and issubclass(declared, enum.Enum):
        return "one of " + ", ".join(item.name for item in declared)
    return getattr(declared, "__name__", str(declared))
