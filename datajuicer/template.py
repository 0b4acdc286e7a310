r"""Templates: text with names in braces that a point of a grid fills in.

Grammar (`template` is the start; blanks around a name and around an argument do not count)::

    template   = { text | escape | "{" expression "}" }
    expression = "*" | [ "!" ] name { "(" [ arguments ] ")" }
    name       = { letter | escape | "{" expression "}" }         at least one
    arguments  = argument { "," argument }
    argument   = { text | escape | "{" expression "}" | "(" argument-text ")" }
    escape     = "\" followed by one of  \ { } ( ) ,  or a blank

Meaning:

* A template that is exactly one expression gives the object itself, type kept; any other template gives text,
  each expression replaced by `str` of its value. Text without braces is returned as it is.
* `{a}` is the value of the key `a`; `{*}` is the whole point; `{fav_{topic}}` finds the inner name first;
  `{optimizer.lr}` looks for the key `optimizer.lr` and then for `lr` inside the dict `optimizer`.
* `{f(x, {a})}` calls the function under the key `f`. An argument is a template itself: `{a}` alone keeps its
  type, bare words and digits are text. Parentheses and braces inside an argument protect the commas in them.
* A value that is text is a template too and is resolved when it is named. Text that a function returned is
  data and is never evaluated; so is `Literal` text, which is how `run` stores it. A leading "!" is allowed
  for old templates and changes nothing.

Nothing is ever evaluated as Python, and no attribute of an object can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from datajuicer.errors import MissingKey, UsageError

Point = Mapping[Any, Any]

_ESCAPABLE = "\\{}(), "
_MISSING: Any = object()


class Literal(str):
    """Text that is data: no template is looked for in it, whatever braces it holds."""

    __slots__ = ()


@dataclass(frozen=True)
class _Expression:
    """`{name(arguments)(arguments)}`; the name and every argument are templates already taken apart."""

    name: tuple[Any, ...]
    calls: tuple[tuple[tuple[Any, ...], ...], ...]
    source: str


class _Reader:
    """Reads a template from left to right; one method for each rule of the grammar."""

    def __init__(self, text: str):
        self.text = text
        self.at = 0

    def fail(self, what: str) -> UsageError:
        return UsageError(
            f"the template {self.text!r} {what} at character {self.at + 1}; "
            r"write \{ and \} for braces that are meant as text, or wrap the text in datajuicer.Literal"
        )

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def template(self) -> tuple[Any, ...]:
        parts = list(self.pieces(stop=""))
        if self.at < len(self.text):
            raise self.fail("has a closing brace without an opening one")
        return _joined(parts)

    def pieces(self, stop: str) -> Iterator[Any]:
        """Characters, escaped characters and expressions up to an unprotected character of `stop` or a
        brace.
        """
        depth = 0
        while char := self.peek():
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in tuple(_ESCAPABLE):
                # an escaped character is text even where it would be trimmed or end an argument
                yield Literal(self.text[self.at + 1])
                self.at += 2
                continue
            if char == "{":
                yield self.expression()
                continue
            if char == "}" or (depth == 0 and char in stop):
                return
            if stop:  # only arguments know parentheses
                depth = max(0, depth + (char == "(") - (char == ")"))
            yield char
            self.at += 1

    def expression(self) -> _Expression:
        start = self.at
        self.at += 1
        name = _joined(_trimmed(list(self.pieces(stop="("))))
        calls = []
        while self.peek() == "(":
            calls.append(self.call())
            while self.peek() == " ":
                self.at += 1
        if not self.peek():
            raise self.fail("ends before its closing brace")
        if self.peek() != "}":
            raise self.fail("goes on after the end of a call")
        if not name:
            raise self.fail("has an expression without a name")
        self.at += 1
        if isinstance(name[0], str) and name[0].startswith("!") and len(name[0]) + len(name) > 2:
            name = _joined([name[0][1:], *name[1:]])
        return _Expression(name, tuple(calls), self.text[start : self.at])

    def call(self) -> tuple[tuple[Any, ...], ...]:
        arguments = []
        while True:
            self.at += 1  # the opening parenthesis or the comma
            arguments.append(_joined(_trimmed(list(self.pieces(stop=",)")))))
            if self.peek() not in (",", ")"):
                raise self.fail("has a call without its closing parenthesis")
            if self.peek() == ")":
                self.at += 1
                return () if arguments == [()] else tuple(arguments)


def _trimmed(parts: list[Any]) -> list[Any]:
    """Drop plain blanks at both ends; escaped ones are Literal and stay."""
    first, last = 0, len(parts)
    while first < last and type(parts[first]) is str and parts[first].isspace():
        first += 1
    while last > first and type(parts[last - 1]) is str and parts[last - 1].isspace():
        last -= 1
    return parts[first:last]


def _joined(parts: list[Any]) -> tuple[Any, ...]:
    """Neighbouring characters become one piece of text."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += str(part)
        elif part != "":
            joined.append(str(part) if isinstance(part, str) else part)
    return tuple(joined)


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Any, ...]:
    """The pieces of a template: text and expressions, in order."""
    return _Reader(text).template()


def format_template(point: Point, text: str) -> Any:
    """Fill a template in from a point.

    Args:
        point: the dict whose keys the template names.
        text: the template; the grammar stands in the module's docstring.

    Returns:
        The value itself if the template is one expression, else text.

    Raises:
        MissingKey: a named key is not there.
        UsageError: the template is not well formed, refers to itself or calls something that is no function.
    """
    return _format(point, text, ())


def get(point: Point, key: Any, default: Any = _MISSING) -> Any:
    """The value of a key, with templates in the key and in the value resolved.

    Args:
        point: the dict to look in.
        key: a key, a path `a.b` into dicts, or a template that gives one.
        default: what to return where the key is missing; without it that is an error.
    """
    name = _format(point, key, ()) if isinstance(key, str) and "{" in key else key
    value = _look_up(point, name)
    if value is _MISSING:
        if default is not _MISSING:
            return default
        raise _missing(point, name)
    return _resolved(point, name, value, ())


def _look_up(point: Point, name: Any) -> Any:
    value = point.get(name, _MISSING)
    if value is not _MISSING or not isinstance(name, str):
        return value
    head, dot, rest = name.partition(".")
    if dot and isinstance(inner := point.get(head, _MISSING), Mapping):
        return _look_up(inner, rest)
    if name.removeprefix("-").isdecimal():
        return point.get(int(name), _MISSING)
    return _MISSING


def put(point: Point, name: Any, value: Any) -> dict[Any, Any]:
    """Return a copy of a point with a key set where `get` reads it.

    A path `a.b` whose head is a dict in the point sets the entry in a copy of that dict; the key itself, if
    the point has it, comes first, and a path that leads into no dict is a key of its own.
    """
    if isinstance(name, str) and name not in point:
        head, dot, rest = name.partition(".")
        if dot and isinstance(inner := point.get(head, _MISSING), Mapping):
            return {**point, head: put(inner, rest, value)}
        if name.removeprefix("-").isdecimal() and int(name) in point:
            return {**point, int(name): value}
    return {**point, name: value}


def fill(point: Point, name: Any) -> Point:
    """Return a point whose value of a key is no template but what that gives, as `get` does; else the point.

    Dicts inside are copied; in a mapping of another type than dict templates stay.
    """
    value = _look_up(point, name)
    if type(value) is not str or not ("{" in value or "}" in value):
        return point
    inner = point
    for part in str(name).split(".") if name not in point else ():
        if type(inner) is not dict:
            return point
        inner = inner.get(part)
    if type(point) is not dict:
        return point
    found = get(point, name)
    return put(point, name, Literal(found) if type(found) is str else found)


def drop(point: Point, name: Any) -> dict[Any, Any]:
    """Return a copy of a point without a key, taken out where `get` reads it; dicts inside are copied."""
    if isinstance(name, str) and name not in point:
        head, dot, rest = name.partition(".")
        if dot and isinstance(inner := point.get(head, _MISSING), Mapping):
            return {**point, head: drop(inner, rest)}
    return {key: value for key, value in point.items() if key != name}


def _missing(point: Point, name: Any, template: str = "") -> MissingKey:
    from difflib import get_close_matches

    keys = sorted(map(str, point))
    near = get_close_matches(str(name), keys, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    where = f" that the template {template!r} names" if template else ""
    return MissingKey(f"the point has no key {name!r}{where}{hint} (its keys: {', '.join(keys) or 'none'})")


def _resolved(point: Point, name: Any, value: Any, path: tuple[Any, ...]) -> Any:
    if type(value) is not str or not ("{" in value or "}" in value):
        return value
    if name in path:
        circle = " → ".join(map(str, (*path[path.index(name) :], name)))
        raise UsageError(f"the template under the key {name!r} refers to itself: {circle}; break the circle")
    return _format(point, value, (*path, name))


def _format(point: Point, text: str, path: tuple[Any, ...]) -> Any:
    if isinstance(text, Literal) or not ("{" in text or "}" in text):
        return text
    return _filled(point, parse(text), path)


def _filled(point: Point, parts: tuple[Any, ...], path: tuple[Any, ...]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], _Expression):
        return _value(point, parts[0], path)
    return "".join(p if isinstance(p, str) else str(_value(point, p, path)) for p in parts)


def _value(point: Point, expression: _Expression, path: tuple[Any, ...]) -> Any:
    if expression.name == ("*",) and not expression.calls:
        return dict(point)
    name = _filled(point, expression.name, path)
    try:
        value = _look_up(point, name)
    except TypeError:
        raise UsageError(
            f"the template {expression.source!r} looks for a key that is of type {type(name).__qualname__}, "
            "not text"
        ) from None
    if value is _MISSING:
        raise _missing(point, name, expression.source)
    value = _resolved(point, name, value, path)
    for arguments in expression.calls:
        if not callable(value):
            raise UsageError(
                f"the template {expression.source!r} calls {name!r}, which is {type(value).__name__}, not a "
                "function"
            )
        value = value(*(_filled(point, argument, path) for argument in arguments))
    return value
