"""Names for users' methods, criteria, perturbations and attacks: frozen dataclasses, one call each."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import jax

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.trees import settings_tree

Class = TypeVar("Class", bound=type)


class Registry:
    """The named settings of one kind, such as all methods.

    Grid points hold the settings themselves, never the name, so worker processes need no registry.

    Attributes:
        kind: What they are, for messages.
        members: What each must have.
        named: The settings by name, with their defaults.
        plural: What several of them are called.
    """

    def __init__(self, kind: str, members: tuple[str, ...], built_in: dict[str, Any]):
        self.kind = kind
        self.plural = "criteria" if kind == "criterion" else f"{kind}s"
        self.members = members
        self.named = dict(built_in)
        self._built_in = tuple(built_in)

    def register(self, name: str, settings: Class) -> Class:
        """Register a frozen dataclass under a name; returns it, so that it may be used as a decorator.

        Raises:
            InputError: It is no frozen dataclass with defaults, lacks a member, cannot be imported by worker
                processes, or the name exists.
        """
        if not name.isidentifier():
            raise InputError(f"{name!r} is no name of a {self.kind}: use letters, digits and '_'.")
        check_settings_class(settings, f"The {self.kind} {name!r}", self.members)
        known = self.named.get(name)
        if known is not None and _shown(type(known)) != _shown(settings):
            raise InputError(
                f"There is a {self.kind} {name!r} already, {_shown(type(known))}: choose another name."
            )
        ensure_tree(settings)
        self.named[name] = settings()
        return settings

    def fits(self, value: Any) -> bool:
        """Whether a value is of this kind."""
        return not isinstance(value, type) and all(hasattr(value, member) for member in self.members)

    def find(self, name: str) -> Any:
        """The settings of a name, with their defaults.

        Raises:
            InputError: There is none.
        """
        if name not in self.named:
            raise InputError(
                f"There is no {self.kind} {name!r}; there are {', '.join(self.named)}."
                f"{nearest(name, self.named)}"
            )
        return self.named[name]

    def own(self) -> Iterable[str]:
        """The names that users registered."""
        return [name for name in self.named if name not in self._built_in]


def check_settings_class(settings: Any, what: str, members: tuple[str, ...]) -> None:
    """Raise ``InputError`` for what is no importable frozen dataclass with defaults and the members."""
    if not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
        raise InputError(f"{what} must be a class decorated with @dataclass(frozen=True), not {settings!r}.")
    if not settings.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise InputError(f"{what} must be frozen: decorate it with @dataclass(frozen=True).")
    if "<" in settings.__qualname__:
        raise InputError(f"{what} cannot be imported by worker processes: define it at the top of a file.")
    for member in members:
        if not hasattr(settings, member):
            raise InputError(f"{what} needs {member!r}; see the contract in its documentation.")
    for field in dataclasses.fields(settings):
        has_default = (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        if not has_default and field.init:
            raise InputError(f"{what} needs a default for its setting {field.name!r}.")


def ensure_tree(settings: type, example: Any = None) -> None:
    """Make a frozen dataclass a tree of its numbers, unless it is one; words and flags become static.

    Args:
        settings: The class.
        example: One of its objects; that of the defaults if not given.

    Raises:
        InputError: It needs arguments.
    """
    example = settings() if example is None else example
    if is_tree(example):
        return
    names = (field.name for field in dataclasses.fields(settings))
    settings_tree(settings, [name for name in names if isinstance(getattr(example, name), str | bool)])


def is_tree(value: Any) -> bool:
    """Whether JAX flattens a value; other values are leaves."""
    return jax.tree.structure(value) != jax.tree.structure(0)


def ensure_trees(value: Any, what: str) -> None:
    """Make the classes of a value and of its parts trees, as registering them does.

    A process that only unpickled a value, or a class that nobody registered, lacks that.

    Args:
        value: A method, criterion, perturbation or attack.
        what: Which of these it is.

    Raises:
        InputError: A part is a dataclass that is not frozen.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not is_tree(value):
            if not value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
                raise InputError(
                    f"The {what} {type(value).__name__} must be frozen: decorate it with "
                    f"@dataclass(frozen=True)."
                )
            ensure_tree(type(value), value)
        for field in dataclasses.fields(value):
            ensure_trees(getattr(value, field.name), what)
    elif isinstance(value, tuple | list | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            ensure_trees(part, what)


def attribute_helps(settings: type) -> dict[str, str]:
    """What each field means, from the ``Attributes:`` of the class's docstring."""
    helps: dict[str, str] = {}
    _, _, section = (settings.__doc__ or "").partition("Attributes:")
    indent = 0
    for line in section.splitlines():
        text, depth = line.strip(), len(line) - len(line.lstrip())
        name, colon, meaning = text.partition(": ")
        if colon and name.isidentifier() and (not helps or depth == indent):
            indent = depth
            helps[name] = meaning
        elif text and helps and depth > indent:
            helps[next(reversed(helps))] += f" {text}"
        elif text and helps:
            break
    return helps


def _shown(settings: type) -> str:
    return f"{settings.__module__}.{settings.__qualname__}"
