"""Cachable functions: which results are worth keeping, and what they depend on."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from datajuicer import keys
from datajuicer.errors import UsageError
from datajuicer.running.code.digests import remember_source
from datajuicer.running.code.packages import home_of
from datajuicer.running.dependency import ABSENT, Dependency
from datajuicer.running.identity import freeze, has_cells, identity_of, refuse_async, state_of
from datajuicer.store.listing import NO_FUNCTIONS
from datajuicer.store.values import describe
from datajuicer.template import fill

JOB = "job"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


Saver = Callable[[Path, Any], None]
Loader = Callable[[Path], Any]
Checker = Callable[[Path], bool]


@dataclass(frozen=True)
class Cachable:
    """A function whose results `run` keeps. Called directly, it just calls the function. Made by
    `cachable`.
    """

    function: Callable[..., Any]
    table_name: str
    dependencies: tuple[Dependency, ...]
    saver: Saver | Literal["pickle"] | None = None
    loader: Loader | Literal["pickle"] | None = None
    checker: Checker | None = None
    version: Any = None
    batched: Callable[..., Sequence[Any]] | None = None
    group: Callable[..., Any] | None = None
    on_code_change: Literal["warn", "recompute", "ignore"] = "warn"
    encoders: tuple[tuple[type, Callable[[Any], Any]], ...] = ()
    depends_on: tuple[Any, ...] = ()
    code_of: Callable[..., Iterable[Any]] | None = None
    code_within: tuple[str, ...] | None = None
    earlier_defaults: tuple[Dependency, ...] = ()
    is_named: bool = True  # by a table_name, which stands for whatever function it is given to
    is_method: bool = False
    frozen: tuple[tuple[str, str], ...] = ()  # of `identity.freeze`

    def __get__(self, instance: Any, owner: type | None = None) -> Cachable:
        """Bind a method to its object, which is part of the key."""
        if instance is None:
            return self
        if self.batched is not None:
            raise UsageError(f"{self.table_name} is a method, which has no batched form; make it a function")
        first = next(iter(_signature(self.function).parameters), None)
        bound = replace(
            self,
            function=types.MethodType(self.function, instance),
            dependencies=tuple(d for d in self.dependencies if d.parameter != first),
            is_method=True,
        )
        return _rebuild(*(getattr(bound, field.name) for field in fields(bound)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, without any store."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<cachable {self.table_name}>"

    def __datajuicer_key__(self) -> tuple[Any, ...]:
        return ("cachable", self.table_name, self.version)

    def __datajuicer_omitted__(self) -> Any:
        """What tells it from others of its name where it is a setting; see `keys.key_and_omitted`."""
        return None if self.is_named else [self.identity["name"], keys.digest(self.state())]

    def __reduce__(self) -> Any:
        # A decorated function is found under its own name by another process; the function inside of it is
        # not. What __main__ defines goes by value, since another process has another __main__.
        module, name = getattr(self, "__module__", None), getattr(self, "__qualname__", "<")
        if module not in (None, "__main__", "__mp_main__") and "<" not in name:
            found: Any = sys.modules.get(module)
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is self:
                return name
        return _rebuild, tuple(getattr(self, field.name) for field in fields(self))

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The signature without `job`."""
        signature = _signature(self.function)
        return signature.replace(parameters=[p for n, p in signature.parameters.items() if n != JOB])

    @functools.cached_property
    def takes_job(self) -> bool:
        """Whether the function has a parameter named `job`."""
        return JOB in _signature(self.function).parameters

    @functools.cached_property
    def _plain(self) -> tuple[tuple[str, ...], dict[str, Any]] | None:
        """Names and defaults, if all parameters can be given by name; the fast way to bind a call."""
        parameters = self.signature.parameters.values()
        if any(p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters):
            return None
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        return tuple(p.name for p in parameters), defaults

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Parameter name → argument, defaults filled in, without `job`.

        Raises:
            UsageError: the arguments do not fit the function.
        """
        if self._plain is not None:
            names, defaults = self._plain
            if len(args) == len(names) and not kwargs:
                return dict(zip(names, args, strict=True))
            bound = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
            twice = kwargs.keys() & set(names[: len(args)])
            if len(args) <= len(names) and bound.keys() == set(names) and not twice:
                return bound
        try:
            found = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.table_name} cannot be called so: {error}") from None
        found.apply_defaults()
        return dict(found.arguments)

    def filled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that hold templates under declared keys, with their values instead."""
        found: dict[str, Any] = {}
        for dependency in self.dependencies:
            if dependency.key is None:
                continue
            name = dependency.parameter
            holder = found.get(name, arguments[name])
            if isinstance(holder, Mapping) and (full := fill(holder, dependency.key)) is not holder:
                found[name] = full
        return found

    def dependency_values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a result for these arguments depends on; what has its default is left out."""
        return self.dependencies_and_defaults(arguments)[0]

    def dependencies_and_defaults(
        self, arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values of the dependencies, and the described defaults of those that are left out."""
        found, left_out = {}, {}
        for dependency in self.dependencies:
            value = dependency.value(arguments)
            if dependency.default is not ABSENT and (
                value is ABSENT or self._same(value, dependency.default)
            ):
                left_out[dependency.text] = self._described_defaults[dependency.text]
                continue
            found[dependency.text] = value
        return found, left_out

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """The defaults of the dependencies that have one, by name."""
        return {d.text: d.default for d in self.dependencies if d.default is not ABSENT}

    @functools.cached_property
    def _described_defaults(self) -> dict[str, Any]:
        return {name: describe(default) for name, default in self.defaults.items()}

    @functools.cached_property
    def earlier_defaults_described(self) -> dict[str, Any]:
        """The defaults of results whose records name none, by name, as a record would name them."""
        return {d.text: describe(d.default) for d in self.earlier_defaults}

    @functools.cached_property
    def identity(self) -> dict[str, str]:
        """What a record says of the function; see `identity.identity_of`."""
        return identity_of(self.function)

    @functools.cached_property
    def home(self) -> frozenset[str]:
        """The packages whose code counts as that of the function."""
        return frozenset(home_of(self.function))

    @functools.cached_property
    def omitted(self) -> dict[str, Any]:
        """What every key of the function omits, see `omitted`: its identity unless it is named."""
        return {} if self.is_named else {"function": self.identity}

    @functools.cached_property
    def holds_state(self) -> bool:
        """Whether `state` may return anything: a plain function holds nothing."""
        held = isinstance(self.function, (types.MethodType, functools.partial))
        return self.is_method or (not self.is_named and (held or has_cells(self.function)))

    def state(self) -> dict[str, Any]:
        """Return what tells the function from others of its name, for the key; nothing if it is named.

        The object of a method is an argument of it, and always in the key.

        Raises:
            UsageError: it holds something that cannot be keyed.
        """
        if self.is_named and not self.is_method:
            return {}
        try:
            state = state_of(self.function, dict(self.frozen))
        except UsageError as error:
            raise UsageError(f"{self.table_name}: {error}") from None
        return {"(self)": state["(self)"]} if self.is_named else state

    def _same(self, one: Any, other: Any) -> bool:
        if type(one) is not type(other):
            return False
        return keys.digest(one, dict(self.encoders)) == keys.digest(other, dict(self.encoders))

    def key(self, dependencies: Mapping[str, Any]) -> str:
        """Return the key of the result with these dependency values."""
        return self.key_and_omitted(dependencies)[0]

    def key_and_omitted(self, dependencies: Mapping[str, Any]) -> tuple[str, dict[str, list[Any]]]:
        """Return the key, and what the values hold that it omits."""
        return keys.key_and_omitted(self.table_name, self.version, dependencies, self._encoders)

    @functools.cached_property
    def _encoders(self) -> dict[type, Callable[[Any], Any]]:
        return dict(self.encoders)


def cachable(
    dependencies: Sequence[str] | None = None,
    saver: Saver | Literal["pickle"] | None = None,
    loader: Loader | Literal["pickle"] | None = None,
    checker: Checker | None = None,
    table_name: str | None = None,
    *,
    version: Any = None,
    batched: Callable[..., Sequence[Any]] | None = None,
    group: Callable[..., Any] | None = None,
    on_code_change: Literal["warn", "recompute", "ignore"] = "warn",
    encoders: Mapping[type, Callable[[Any], Any]] | None = None,
    depends_on: Sequence[Any] = (),
    code_of: Callable[..., Iterable[Any]] | None = None,
    code_within: Sequence[str] | None = None,
    earlier_defaults: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Cachable]:
    """Mark a function as one whose results are kept.

    Args:
        dependencies: what a result depends on: `"a"`, `"model:seed"`, `"model:optimizer.lr"`,
            `"model:seed?=0"` (left out of the key when it has this value); default: all parameters except
            `job`.
        saver: `saver(folder, value)` writes a value's files into an empty folder; `"pickle"` takes anything.
            Without it values are stored as typed JSON and safetensors.
        loader: `loader(folder)` reads what `saver` wrote.
        checker: `checker(folder)` says whether the files in a result's folder are still good; if not, the
            result counts as missing.
        table_name: the function's name in keys and in the store; default: its own. With a table_name it may
            move, and hold anything; without, results of another function of the same name are no hits.
        version: part of the key; a new version leaves all older results aside.
        batched: a function with the same parameters, each a list, that returns a list of values; an element
            may be an exception, then that point failed.
        group: `group(**arguments)` gives a value; points with equal values may share a call of `batched`.
        on_code_change: what to do with a result or a failure of other code: `"warn"`, `"recompute"` or
            `"ignore"`. The code of a function is its own, and the functions, classes and constants of its
            package that it reaches by name.
        encoders: for types that have no key of their own: a function that turns them into values that have.
        depends_on: further functions, classes, modules and values whose change is a change of code.
        code_of: `code_of(**arguments)` lists the functions, classes and modules that count for a call,
            instead of the function itself; an instance stands for its class and those of its fields.
        code_within: packages and modules, by the start of their names, whose code counts where it is reached
            by name; default: the function's package.
        earlier_defaults: dependencies with the defaults that they had (`"model:seed?=0"`) when results were
            stored whose records name none; default: the present ones.

    Raises:
        UsageError: the pieces do not fit together.
    """
    if isinstance(dependencies, str):
        raise UsageError(f"dependencies={dependencies!r} must be a list, such as [{dependencies!r}]")
    if (saver is None) != (loader is None):
        missing = "loader" if loader is None else "saver"
        raise UsageError(f"a saver needs a loader and a loader a saver: give cachable the {missing} too")
    if "pickle" in (saver, loader) and saver != loader:
        raise UsageError("saver='pickle' and loader='pickle' go together")
    if (group is not None) and batched is None:
        raise UsageError(
            "cachable(group=…) says which points may share a call of batched=…, which is missing"
        )
    for name, listed in (("depends_on", depends_on), ("code_within", code_within)):
        if listed is not None and not isinstance(listed, list | tuple):
            raise UsageError(f"{name}={listed!r} must be a list, such as [{listed!r}]")
    if on_code_change not in ("warn", "recompute", "ignore"):
        raise UsageError(f"on_code_change={on_code_change!r} must be 'warn', 'recompute' or 'ignore'")

    def mark(function: Callable[..., Any]) -> Cachable:
        if isinstance(function, Cachable):
            raise UsageError(
                f"{function!r} is cachable already; wrap the function itself: {function!r}.function"
            )
        for form in (function, batched):
            refuse_async(form)
        remember_source(function)
        if isinstance(function, (classmethod, staticmethod)):
            kind = type(function).__name__
            raise UsageError(f"put @{kind} above @cachable(), not below: cachable takes the function itself")
        named = function.func if isinstance(function, functools.partial) else function
        name = table_name or getattr(named, "__name__", "")
        if not _NAME.fullmatch(name) or name in NO_FUNCTIONS:
            raise UsageError(
                f"{name or function!r} is no name for a function in a store; define the function with def, "
                "or give cachable(table_name=…) made of letters, digits, '_', '-' and '.'"
            )
        parameters = [n for n in _signature(function).parameters if n != JOB]
        found = tuple(map(Dependency.parse, parameters if dependencies is None else dependencies))
        for dependency in found:
            if dependency.parameter not in parameters:
                raise UsageError(
                    f"{name} has no parameter {dependency.parameter!r}, which the dependency "
                    f"{dependency.text!r} names (its parameters: {', '.join(parameters) or 'none'})"
                )
        return _rebuild(
            function, name, found, saver, loader, checker, version, batched, group, on_code_change,
            tuple((encoders or {}).items()), tuple(depends_on), code_of,
            None if code_within is None else tuple(code_within),
            tuple(map(Dependency.parse, earlier_defaults)),
            table_name is not None, False, () if table_name else tuple(freeze(function).items()),
        )  # fmt: skip

    return mark


def _rebuild(*pieces: Any) -> Cachable:
    made = Cachable(*pieces)
    function = pieces[0]
    for name in functools.WRAPPER_ASSIGNMENTS:  # name, docstring, module: it looks like the function it holds
        if hasattr(function, name):
            made.__dict__[name] = getattr(function, name)
    made.__dict__["__wrapped__"] = function
    return made


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        raise UsageError(
            f"{function!r} does not tell its parameters; wrap it in a function with def"
        ) from None
