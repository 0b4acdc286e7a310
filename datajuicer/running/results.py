"""Results: how one call ended, and what a look-up or a computation gives for the points of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from datajuicer.errors import Failure
from datajuicer.running.plan import Call


class Outcome(StrEnum):
    """How a call ended."""

    DONE = "done"
    FAILED = "failed"  # recorded
    REFUSED = "refused"  # not recorded: a retry may succeed
    STOPPED = "stopped"  # on request
    BUSY = "busy"  # another process computes it now
    ALONE = "alone"  # its batch failed as a whole: try it alone


@dataclass(frozen=True)
class Result:
    """The result of one call; `value` is set only if it is not in the store."""

    outcome: Outcome
    value: Any = None
    error: str = ""
    traceback: str = ""
    exception: BaseException | None = None
    fatal: bool = False  # the store takes no more: further computations would be lost
    is_unstorable: bool = False  # the value could be computed, but not stored
    warnings: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """What is known of the points of a grid, by index: values, failures, and the calls still to be made."""

    values: Mapping[int, Any] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    pending: tuple[Call, ...] = ()
    cause: BaseException | None = None  # one of the exceptions behind the failures

    def then(self, later: Results) -> Results:
        """Return these results with what came of the pending calls."""
        return Results(
            {**self.values, **later.values}, self.failures + later.failures, later.pending, later.cause
        )
