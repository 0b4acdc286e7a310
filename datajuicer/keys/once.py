"""Encoding each large object once per plan, however many points share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MANY = 512  # items of a list or bytes of an array from which a value is encoded once per plan

ENCODED: ContextVar[dict[Any, tuple[Any, bytes]] | None] = ContextVar("encoded", default=None)


@contextmanager
def encoding_once(encoded: dict[Any, Any] | None = None) -> Iterator[None]:
    """Encode each large object once while the body runs, which must not change any of them.

    Without it an array that all points of a grid share would be hashed once per point.

    Args:
        encoded: what was encoded before, to be continued; None: nothing.
    """
    token = ENCODED.set({} if encoded is None else encoded)
    try:
        yield
    finally:
        ENCODED.reset(token)
