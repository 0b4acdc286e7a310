"""Calling users' functions with those of the offered arguments that they take."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxrobust.errors import InputError

Settings = tuple[tuple[str, Any], ...]


def offered(shape: tuple[int, ...], n_outputs: int, settings: Settings) -> dict[str, Any]:
    """Arguments that functions which make a network may take by name."""
    return {"shape": shape, "n_outputs": n_outputs, "n_classes": n_outputs, **dict(settings)}


def call(function: Callable[..., Any], *first: Any, **offers: Any) -> Any:
    """Call a function with the first arguments by place, and the offers that it takes by name."""
    taken = names_of(function)
    return function(*first, **{name: value for name, value in offers.items() if name in taken})


def names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a function's parameters.

    Raises:
        InputError: It does not tell them.
    """
    # Classes may have a metaclass whose signature says nothing, as those of Flax NNX.
    is_class = isinstance(function, type)
    try:
        names = tuple(inspect.signature(function.__init__ if is_class else function).parameters)
        return names[1:] if is_class else names
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{function!r} does not tell its parameters; wrap it in a function with def."
        ) from error


def check_importable(function: Callable[..., Any], what: str) -> None:
    """Raise ``InputError`` for a function or class that worker processes cannot import."""
    name = getattr(function, "__qualname__", "<")
    if "<" in name or not getattr(function, "__module__", None):
        raise InputError(
            f"{what} is {function!r}, which worker processes cannot import: define it with def or class "
            f"at the top of a file."
        )


def shown(function: Callable[..., Any]) -> str:
    """A function's name, the same in every process."""
    return f"{function.__module__}:{function.__qualname__}"


def check_settings(
    function: Callable[..., Any], settings: Mapping[str, Any], *more: Callable[..., Any]
) -> None:
    """Raise ``InputError`` for a setting that no function takes, or that is no plain value."""
    taken = {name for each in (function, *more) for name in names_of(each)}
    for name, value in settings.items():
        if name not in taken:
            raise InputError(
                f"No function of the network takes the setting {name!r}; they take {sorted(taken)}."
            )
        if not isinstance(value, bool | int | float | str | tuple):
            raise InputError(
                f"The setting {name} must be a number, a word or a tuple of these, not {value!r}."
            )
