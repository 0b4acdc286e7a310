"""Settings of a grid point: their defaults, what they mean, and how a typed word becomes a value."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxrobust.errors import InputError


@dataclass(frozen=True)
class Finite:
    """Finite numbers, within limits.

    Attributes:
        at_least: The smallest.
        above: What all are larger than.
        below: What all are smaller than.
    """

    at_least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and value >= self.at_least and self.above < value < self.below

    def __str__(self) -> str:
        limits = {"at least": self.at_least, "above": self.above, "below": self.below}
        said = [f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)]
        return " and ".join(["finite", *said])


@dataclass(frozen=True)
class OneOf:
    """Some values and no others.

    Attributes:
        values: These.
        why: The rest of the sentence that names them.
    """

    values: tuple[Any, ...]
    why: str = ""

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        first = "one of " if len(self.values) > 1 else ""
        return first + ", ".join(map(str, self.values)) + self.why


class Setting(NamedTuple):
    """A setting's default value, which fixes its type, and what it means.

    Attributes:
        default: Its value if nothing else is said.
        help: What it means.
        optional: Left out of a result's key while at its default, as results from before it existed are.
        allowed: Which values it, or each of its items, may have; None for any of its type, numbers being
            finite and at least 0.
    """

    default: Any
    help: str
    optional: bool = False
    allowed: Finite | OneOf | None = None


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for a mistyped name: `` Did you mean x?``, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def no_such(kind: str, name: object, names: Iterable[str]) -> str:
    """The sentences for a name that does not exist: what is close to it, or all names if nothing is."""
    names = list(names)
    if hint := nearest(str(name), names):
        return f"There is no {kind} {name!r}.{hint}"
    return f"There is no {kind} {name!r}; there are {', '.join(names) or 'none'}."


def check_names(given: Iterable[str], known: Iterable[str], of: str, near: Iterable[str] = ()) -> None:
    """Raise ``InputError`` for a setting that ``of`` does not have; ``near`` are other names for the hint."""
    known = list(known)
    for name in given:
        if name not in known:
            raise InputError(f"{of} has no setting {name!r}.{nearest(name, [*known, *near])}")


def check_spelling(given: Iterable[str], known: Iterable[str], of: str) -> None:
    """Raise ``InputError`` for a name that is no setting but close to one; any other may be added freely."""
    known = list(known)
    for name in given:
        close = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if close:
            raise InputError(
                f"{of} has no setting {name!r}, which would be ignored: write {close[0]!r} if that is meant, "
                f"or choose a name less like it."
            )


def check_values(point: Mapping[str, Any], settings: Mapping[str, Setting], of: str) -> None:
    """Raise ``InputError`` for a setting that is absent, not of its default's type, or not allowed."""
    for name, (default, _, _, allowed) in settings.items():
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
        if isinstance(value, tuple) and default and not value:
            raise InputError(f"{name} must hold at least one item, such as -{name}={as_text(default)}.")
        for item in value if isinstance(value, tuple) else (value,):
            its_allowed = allowed or (Finite(at_least=0) if isinstance(item, int | float) else None)
            if its_allowed and item not in its_allowed:
                each = "each of " if isinstance(value, tuple) else ""
                words = its_allowed.values if isinstance(its_allowed, OneOf) else ()
                hint = nearest(item, words) if isinstance(item, str) else ""
                raise InputError(f"{each}{name} must be {its_allowed}, not {item!r}.{hint}")


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
