"""The state of a point: in the store, and for points that were sent to a cluster also in its queue."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a point; pending, suspended, lost and unknown only exist on a cluster."""

    DONE = "done"
    RUNNING = "running"
    PENDING = "pending"
    SUSPENDED = "suspended"
    FAILED = "failed"
    LOST = "lost"  # its job ended without a result
    MISSING = "missing"
    WAITING = "waiting"  # a parent has no result yet
    UNKNOWN = "unknown"  # its scheduler does not answer
