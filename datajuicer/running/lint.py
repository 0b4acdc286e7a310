"""The lint: which keys of a dict argument a function reads without declaring them as dependencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datajuicer.running.cachable import Cachable


class Watched(dict[Any, Any]):
    """A dict that remembers which of its keys were read. Only made when the lint was asked for."""

    def __init__(self, content: Mapping[Any, Any]):
        super().__init__(content)
        self.read: dict[Any, None] = {}  # in the order of reading

    def _all_read(self) -> None:
        self.read.update(dict.fromkeys(super().keys()))

    def __getitem__(self, key: Any) -> Any:
        self.read[key] = None
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.read[key] = None
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        self._all_read()
        return super().__iter__()

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        self.read[key] = None
        return super().get(key, default)

    def keys(self) -> Any:
        """As of a dict."""
        self._all_read()
        return super().keys()

    def values(self) -> Any:
        """As of a dict."""
        self._all_read()
        return super().values()

    def items(self) -> Any:
        """As of a dict."""
        self._all_read()
        return super().items()

    def copy(self) -> dict[Any, Any]:
        """As of a dict."""
        self._all_read()
        return super().copy()


class Seen:
    """What was read during one call."""

    def __init__(self, watched: dict[str, Watched], declared: dict[str, set[str]]):
        self.watched = watched
        self.declared = declared

    def undeclared(self) -> list[str]:
        """`parameter:key` for everything read and not declared."""
        return [
            f"{name}:{key}"
            for name, content in self.watched.items()
            for key in content.read
            if str(key) not in self.declared[name] and dict.__contains__(content, key)
        ]


def watch(
    function: Cachable, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], Any, Seen]:
    """The arguments with every dict watched of which only some keys are declared."""
    declared: dict[str, set[str]] = {}
    whole = {d.parameter for d in function.dependencies if d.key is None}
    for dependency in function.dependencies:
        if dependency.key is not None and dependency.parameter not in whole:
            declared.setdefault(dependency.parameter, set()).update(
                {dependency.key, dependency.key.partition(".")[0]}
            )
    bound = function.signature.bind(
        *args, **{n: v for n, v in kwargs.items() if n in function.signature.parameters}
    )
    watched: dict[str, Watched] = {}
    for name, value in bound.arguments.items():
        if name in declared and isinstance(value, dict):
            bound.arguments[name] = watched[name] = Watched(value)
    rest = {n: v for n, v in kwargs.items() if n not in function.signature.parameters}
    return bound.args, {**bound.kwargs, **rest}, Seen(watched, declared)
