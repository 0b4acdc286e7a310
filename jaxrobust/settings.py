"""Settings of a grid point: their defaults, what they mean, and how a typed word becomes a value."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jaxrobust.errors import InputError


class Setting(NamedTuple):
    """A setting's default value, which fixes its type, and what it means.

    Attributes:
        default: Its value if nothing else is said.
        help: What it means.
        optional: Left out of a result's key while at its default, as results from before it existed are.
    """

    default: Any
    help: str
    optional: bool = False


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for a mistyped name: `` Did you mean x?``, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_names(given: Iterable[str], known: Iterable[str], of: str) -> None:
    """Raise ``InputError`` for a setting that ``of`` does not have."""
    known = list(known)
    for name in given:
        if name not in known:
            raise InputError(f"{of} has no setting {name!r}.{nearest(name, known)}")


def check_types(point: Mapping[str, Any], settings: Mapping[str, Setting], of: str) -> None:
    """Raise ``InputError`` for a setting of a grid point that is absent or not of its default's type."""
    for name, (default, *_) in settings.items():
        if name not in point:
            raise InputError(f"A grid point of {of} lacks the setting {name!r}; begin with {of}.make().")
        value = point[name]
        wanted = type(default)
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if isinstance(default, tuple) and isinstance(value, tuple):
            fits = all(isinstance(item, _item_type(default)) for item in value)
        if not fits:
            raise InputError(
                f"{name} of {of} must be {_type_name(default)} such as {default!r}, but it is {value!r} "
                f"({type(value).__name__})."
            )


def from_text(name: str, text: str, default: Any) -> Any:
    """Read a value typed on a command line as the type of its default.

    Raises:
        InputError: The text cannot be read so.
    """
    try:
        return _parse(text, default)
    except ValueError as error:
        raise InputError(
            f"-{name}={text}: {name} must be {_type_name(default)}, for example -{name}={as_text(default)}."
        ) from error


def as_text(value: Any) -> str:
    """How a value is typed on a command line."""
    return ",".join(as_text(item) for item in value) if isinstance(value, tuple) else str(value)


def _parse(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]
    if isinstance(default, tuple):
        kind = _item_type(default)
        return tuple(kind(item.strip()) for item in text.strip("()[] ").split(",") if item.strip())
    return type(default)(text)


def _type_name(default: Any) -> str:
    if isinstance(default, tuple):
        plural = {int: "whole numbers", float: "numbers", str: "words"}
        return plural[_item_type(default)] + " separated by commas"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}[type(default)]


def _item_type(default: tuple) -> type:
    """The type of a tuple's items; an empty one is of words."""
    return type(default[0]) if default else str
