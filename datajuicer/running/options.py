"""Options of a run: how its pending calls are made."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from datajuicer.errors import UsageError


@dataclass(frozen=True)
class RunOptions:
    """How pending calls are made; see `run`.

    Raises:
        UsageError: an option has no such value.
    """

    n_threads: int = 1
    executor: Executor | None = None
    batch: int = 1
    progress: bool | None = None
    lint: bool = False
    retry: bool = False
    time_limit: float | None = None
    max_failures: int | None = None
    retries: int = 0

    def __post_init__(self) -> None:
        for name, unit in (("n_threads", "worker processes"), ("batch", "points")):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name}={value!r} must be a whole number of {unit}, at least 1")
        for name, least in (("max_failures", 1), ("retries", 0)):
            value = getattr(self, name)
            if name == "max_failures" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name}={value!r} must be a whole number, at least {least}")
        limit: Any = self.time_limit
        if limit is not None and not (isinstance(limit, int | float) and 0 < limit < math.inf):
            raise UsageError(f"time_limit={limit!r} must be a number of seconds above 0, or None")
        if self.executor is None:
            return
        if limit is not None:
            raise UsageError("time_limit is for the worker processes of run; give the executor its own limit")
        if not callable(getattr(self.executor, "submit", None)):
            raise UsageError(
                f"executor={self.executor!r} does not follow concurrent.futures.Executor: it has no submit()"
            )
