"""Provenance: the code that made a result, in its record, and how it differs from the present code.

A record holds under `code` the digest of the function that ran, and under `reached` those of everything else
that stands behind it, by name. Records from before hold a digest of the function's source alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cached_property, partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from datajuicer import keys
from datajuicer.errors import UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.code.digests import Digest, combined, legacy_digest
from datajuicer.running.code.packages import home_of, is_library, top
from datajuicer.running.code.reach import ITSELF, Part, reach
from datajuicer.store.record import Record, field_bytes

_MAX_PARTS = 300  # that a record lists one by one
_SHOWN = 5  # names that a message lists
_ALL = "everything"
EARLIER = "made by earlier code"

_PLAIN = frozenset([str, int, float, bool, type(None), complex, bytes])
_CONTAINERS = frozenset([dict, list, tuple, set, frozenset])
_MAX_ITEMS = 10_000  # in larger containers no code is looked for


@dataclass(frozen=True)
class Code:
    """The code behind a function, by name; `ITSELF` is the function.

    Attributes:
        parts: its pieces.
        is_listed: whether the function lists what counts (`code_of`), so that its own code does not.
    """

    parts: Mapping[str, Part]
    is_listed: bool = False

    @cached_property
    def fields(self) -> dict[str, Any]:
        """What a record says of it."""
        itself = self.parts.get(ITSELF)
        reached = {name: str(digest) for name, digest in self.reached.items()}
        return {"code": None if itself is None else str(itself.digest), "reached": reached}

    @cached_property
    def lines(self) -> bytes:
        """The bytes of these fields in a record."""
        return b"".join(field_bytes(*field)[:-1] for field in self.fields.items()) + b"\n"

    @cached_property
    def reached(self) -> dict[str, Digest]:
        """The digests of everything but the function itself; one for all if they are very many."""
        found = {name: part.digest for name, part in self.parts.items() if name != ITSELF}
        return {_ALL: combined(found.values())} if len(found) > _MAX_PARTS else found


class Codes:
    """The code behind functions as it is now; found out once for each, so make a new one for each run."""

    def __init__(self, *, mutable: bool = True):
        self.mutable = mutable
        self.known: dict[tuple[int, ...], tuple[Any, Code]] = {}
        self.listed: dict[int, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        self.legacy: dict[int, str | None] = {}

    def of(self, function: Cachable, arguments: Mapping[str, Any]) -> Code:
        """The code behind a call: of the function, and of the functions and classes among its settings.

        Raises:
            UsageError: `code_of` of the function does not work.
        """
        if function.code_of is not None:
            listed = self._listed(function, arguments)
        else:
            in_settings = _code_in_settings(function.dependency_values(arguments).values())
            listed = _distinct_code(function, in_settings) if in_settings else ()
        key = (id(function), *map(id, listed))
        if key not in self.known:
            # what is kept keeps its id
            self.known[key] = (function, listed), self._find(function, listed)
        return self.known[key][1]

    def _listed(self, function: Cachable, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """The functions, classes and modules that `code_of` names; the same tuple again names the same."""
        assert function.code_of is not None
        try:
            named = function.code_of(**arguments)
            named = named if isinstance(named, tuple) else tuple(named)
        except Exception as error:
            raise UsageError(
                f"code_of of {function.table_name} must return functions, classes or objects, but raised "
                f"{type(error).__name__}: {error}"
            ) from error
        known = self.listed.get(id(named))
        if known is None or known[0] is not named:
            known = self.listed[id(named)] = named, _distinct_code(function, named)
        return known[1]

    def _find(self, function: Cachable, listed: tuple[Any, ...]) -> Code:
        home = set(function.home)
        roots: dict[str, Any] = {}
        if function.code_of is None:
            home |= set().union(*(home_of(form) for form in (function.batched,) if form is not None))
            roots[ITSELF] = function.function
            forms = ("batched", "saver", "loader", "checker")
            roots |= {name: form for name in forms if callable(form := getattr(function, name))}
        roots |= {f"listed {place}": found for place, found in enumerate(listed)}
        roots |= {f"depends_on[{place}]": found for place, found in enumerate(function.depends_on)}
        packages = {top(_module_of(found)) for found in listed if not is_library(_module_of(found))}
        within, apart = function.code_within, set[str]()
        if within is not None:  # says what counts of its packages; others that are listed count whole
            apart = home | {top(prefix) for prefix in within}
            home = set()
        parts = reach(roots, (home | packages) - apart, within or (), apart, mutable=self.mutable)
        return Code(parts, function.code_of is not None)

    def changes(self, function: Cachable, arguments: Mapping[str, Any], record: Record) -> tuple[str, ...]:
        """The names of what has changed since a record was written, as far as that is known.

        Args:
            function: the function.
            arguments: those of the call.
            record: of its result.
        """
        if function.on_code_change == "ignore":
            return ()
        recorded = record.get("reached")
        if recorded is None:
            return self._changes_of_earlier(function, record)
        code = self.of(function, arguments)
        if recorded == code.fields["reached"] and record.get("code") == code.fields["code"]:
            return ()
        reached = code.reached
        names = [
            name
            for name in sorted(reached.keys() | recorded.keys())
            if name not in reached or name not in recorded or not reached[name].agrees_with(recorded[name])
        ]
        itself = code.parts.get(ITSELF)
        if itself is not None and record.get("code") and not itself.digest.agrees_with(record["code"]):
            names.insert(0, f"{function.table_name} itself")
        return tuple(names)

    def _changes_of_earlier(self, function: Cachable, record: Record) -> tuple[str, ...]:
        if function.code_of is not None or not record.get("code"):
            return ()
        if id(function) not in self.legacy:
            self.legacy[id(function)] = legacy_digest(function.function)
        now = self.legacy[id(function)]
        return () if now in (None, record["code"]) else (f"{function.table_name} itself",)

    def asks_for_retry(self, function: Cachable, arguments: Mapping[str, Any], failed: Record) -> bool:
        """Whether a recorded failure is of earlier code and the function wants such results recomputed."""
        return function.on_code_change == "recompute" and bool(self.changes(function, arguments, failed))

    def is_earlier(self, function: Cachable, arguments: Mapping[str, Any], record: Record) -> bool:
        """Whether a result was made by earlier code, or by code that is not known."""
        if function.on_code_change == "ignore":
            return False
        return "reached" not in record or bool(self.changes(function, arguments, record))


def shown(names: Sequence[str]) -> str:
    """Some names in a message."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def code_that_runs(
    function: Cachable, arguments: Mapping[str, Any], planned: Code | None
) -> tuple[Code, tuple[str, ...]]:
    """The code behind a call in this process, and the names of what is other than planned.

    Values that change in place are taken as they were planned. Functions that travelled here have lost
    their source; if their bytecode is the planned one, so is their source. A function that travelled is a
    copy: where its helpers reach it by name they find the original, which is no other code.
    """
    here = Codes(mutable=False).of(function, arguments)
    if planned is None:
        return here, ()
    parts = {name: part for name, part in planned.parts.items() if part.is_mutable}
    other = [name for name, part in planned.parts.items() if not part.is_mutable and name not in here.parts]
    itself = planned.parts.get(ITSELF)
    for name, part in here.parts.items():
        plan = planned.parts.get(name)
        if plan is None and itself is not None and part.digest.is_that_of(itself.digest):
            continue
        parts[name] = part
        if plan is None or not part.digest.is_that_of(plan.digest):
            other.append(name)
        elif part.digest.source is None:
            parts[name] = plan
    return Code(parts, here.is_listed), tuple(sorted(other))


def check_code(
    function: Cachable, arguments: Mapping[str, Any], planned: Code | None
) -> tuple[Code, str, bool]:
    """The code that runs here; a sentence if it is other than planned; and whether that forbids to run it."""
    code, other = code_that_runs(function, arguments, planned)
    if not other or function.on_code_change == "ignore":
        return code, "", False
    text = (
        f"a process that computes {function.table_name} has other code than the one that planned it "
        f"({shown(other)}): a file was edited since it was imported. Reload the module, or restart"
    )
    refuses = function.on_code_change == "recompute"
    return code, text if refuses else f"{text}. The records tell what ran", refuses


def _code_in_settings(values: Iterable[Any]) -> list[Any]:
    """The settings that are functions or classes, or whose class has code."""
    found = []
    waiting = list(values)
    for value in waiting:
        kind = type(value)
        if kind in _CONTAINERS:
            if len(value) <= _MAX_ITEMS:
                waiting.extend(value.values() if kind is dict else value)
        elif kind is Cachable or not (kind in _PLAIN or issubclass(kind, Enum) or _is_data(kind.__module__)):
            found.append(value)
    return found


def _is_data(module: str) -> bool:
    return top(module) in ("numpy", "datajuicer")


def _distinct_code(function: Cachable, named: Iterable[Any]) -> tuple[Any, ...]:
    """The functions, classes and modules in some values, each once, without those of libraries."""
    packages = function.home | {top(prefix) for prefix in function.code_within or ()}
    found: dict[int, Any] = {}
    for value in named:
        for code in _code_in(value):
            module = _module_of(code)
            if top(module) in packages or not is_library(module):
                found[id(code)] = code
    return tuple(found.values())


def _code_in(value: Any) -> Iterator[Any]:
    """A function, class or module; or the classes and functions that make up a value."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return
    if isinstance(value, type | FunctionType | ModuleType) or keys.wrapped_in(value) is not None:
        yield value
    else:
        yield type(value)
        for inner in _inside(value):
            yield from _code_in(inner)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, tuple | list | set | frozenset):
        return value
    if is_dataclass(value):
        return [getattr(value, field.name, None) for field in fields(value)]
    return ()


def _module_of(found: Any) -> str:
    return (found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)) or ""
