"""Dependencies: what a result depends on, as text such as `"model:optimizer.lr?=0.1"`."""

from __future__ import annotations

import ast
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datajuicer.errors import MissingKey, UsageError
from datajuicer.template import get


class _Absent(enum.Enum):
    """Stands for no value; an Enum, because its member stays itself when it is sent to another process."""

    ABSENT = 0


ABSENT: Any = _Absent.ABSENT


@dataclass(frozen=True)
class Dependency:
    """One thing a result depends on: a parameter, or a key inside of it, possibly with a default."""

    text: str
    parameter: str
    key: str | None = None
    default: Any = ABSENT

    @classmethod
    def parse(cls, text: str) -> Dependency:
        """Read `a`, `model:seed`, `model:optimizer.lr` or `model:seed?=0`.

        Raises:
            UsageError: the text is not of that form.
        """
        name, mark, default = text.partition("?=")
        parameter, colon, key = name.partition(":")
        if not parameter.isidentifier() or (colon and not key):
            raise UsageError(
                f"the dependency {text!r} is not of the form 'parameter', 'parameter:key' or "
                "'parameter:key?=default'"
            )
        return cls(name, parameter, key or None, _literal(default) if mark else ABSENT)

    def value(self, arguments: Mapping[str, Any]) -> Any:
        """Its value among the arguments of a call, `ABSENT` if it is missing and has a default."""
        value = arguments[self.parameter]
        if self.key is None:
            return value
        if not isinstance(value, Mapping):
            raise UsageError(
                f"the dependency {self.text!r} looks inside of {self.parameter!r}, but that is of type "
                f"{type(value).__qualname__}, not a dict"
            )
        try:
            return get(value, self.key) if self.default is ABSENT else get(value, self.key, ABSENT)
        except MissingKey as error:
            raise MissingKey(f"the dependency {self.text!r}: {error}") from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text
