"""The store that is meant where none is named: `sessions/`, or that of a command around the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

DEFAULT: ContextVar[Any] = ContextVar("default store", default="sessions")  # a `StoreLike`


@contextmanager
def default_store(store: Any) -> Iterator[None]:
    """Have another store be meant where none is named, as long as the body runs, in its thread.

    For code that was written without a store in mind, such as a published script that draws from its results.
    """
    token = DEFAULT.set(store)
    try:
        yield
    finally:
        DEFAULT.reset(token)
