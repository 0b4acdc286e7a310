"""The state of a point on a cluster: a pure function of what the store has and what the scheduler says.

The store decides what is done; the scheduler only says what may still come. So a job that the scheduler has
forgotten is never a success, and one that it hides is not lost as long as its claim shows signs of life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from datajuicer.clusters.scheduler import Seen

State = Literal["done", "running", "pending", "suspended", "failed", "lost", "missing", "unknown"]
STATES: tuple[State, ...] = (
    "done", "running", "pending", "suspended", "failed", "lost", "missing", "unknown",
)  # fmt: skip
UNDER_WAY: tuple[State, ...] = ("running", "pending", "suspended")


@dataclass(frozen=True)
class Evidence:
    """All that is known of one point.

    Attributes:
        outcome: what the store says: done, failed, running (a living claim) or missing.
        submitted: whether a job that the scheduler took holds it.
        cancelled: whether that job was cancelled on request.
        retry: whether that job was to compute recorded failures again.
        looks: what the scheduler said of its element each time it was asked, the latest last; None: not
            mentioned.
        silence: why the scheduler could not be asked, if it could not.
        note: what the element itself left behind about the point; None: it left no trace at all.
    """

    outcome: Literal["done", "failed", "running", "missing"]
    submitted: bool = False
    cancelled: bool = False
    retry: bool = False
    looks: Sequence[Seen | None] = ()
    silence: str = ""
    note: str | None = None


def state_of(known: Evidence) -> tuple[State, str]:
    """The state, and the reason where there is something to explain."""
    latest = next((seen for seen in reversed(known.looks) if seen is not None), None)
    under_way = known.submitted and latest is not None and latest.state != "ended"
    # the claim of a suspended process looks alive for half a minute
    is_held = under_way and latest is not None and latest.state == "suspended"
    if known.outcome == "done" or (known.outcome == "running" and not is_held):
        return known.outcome, ""
    if known.outcome == "failed" and not (known.retry and under_way):
        return "failed", ""
    if under_way:
        assert latest is not None
        assert latest.state != "ended"
        return latest.state, latest.words
    if not known.submitted or known.cancelled:
        return "missing", "cancelled" if known.cancelled else ""
    if known.silence:
        return "unknown", known.silence
    return "lost", _why(known.note, latest)


def _why(note: str | None, latest: Seen | None) -> str:
    if note:
        return note
    if latest is None:
        said = "the scheduler does not know its job any more"
    else:
        said = f"its job ended ({latest.words})"
    if note is None:
        return f"{said} and left no trace in the store: it was killed at once, or its node does not see it"
    return f"{said} before there was a result"
