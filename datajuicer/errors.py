"""Exceptions, grouped by who can fix them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class UsageError(ValueError):
    """A mistake that the user can fix; the message says what, where and how. Command lines exit with status
    2.
    """


class MissingKey(UsageError, KeyError):
    """A point has no such key. Also a KeyError, so that code written against plain dicts keeps working."""

    __str__ = ValueError.__str__  # KeyError would show the message in quotation marks


class MissingResults(UsageError):
    """`run_mode="load"` found points without a result; `points` lists them all."""

    def __init__(self, message: str, points: list[dict[str, Any]]):
        super().__init__(
            message, points
        )  # all of it, so that the error survives being sent between processes
        self.points = points

    def __str__(self) -> str:
        return str(self.args[0])


class Interrupted(KeyboardInterrupt):
    """A stop that was asked for: nothing is recorded, the point stays missing and its checkpoints stay.

    A KeyboardInterrupt rather than an Exception, so that `except Exception` in a function does not swallow
    it.
    """


class StoreWarning(UserWarning):
    """The store met something the user should know: a corrupt file, changed code, a result that is not
    deterministic.
    """


class WorkerDied(Exception):
    """A worker process ended in the middle of a point; `reason` names the signal or the exit status."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Failure:
    """One failed point: its places in the grid, the error in one line, the traceback, and whether it was
    recorded.
    """

    indices: tuple[int, ...]
    point: dict[str, Any]
    error: str
    traceback: str
    recorded: bool
    log: str | None = None


class RunError(Exception):
    """Some points of a run failed; the others are kept.

    `results` holds what was computed, with None in the places that failed; `failures` explains those places.
    A value that was computed and could not be stored is in both.
    """

    def __init__(self, message: str, results: list[Any], failures: list[Failure]):
        super().__init__(message, results, failures)
        self.results = results
        self.failures = failures

    def __str__(self) -> str:
        return str(self.args[0])
