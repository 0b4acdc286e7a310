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

    def __post_init__(self) -> None:
        for name, unit in (("n_threads", "worker processes"), ("batch", "points")):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name}={value!r} must be a whole number of {unit}, at least 1")
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
