"""The state of a point on a cluster: a pure function of what the store has and what the scheduler says.

The store decides what is done; the scheduler only says what may still come. So a job that the scheduler has
forgotten is never a success, and one that it hides is not lost as long as its claim shows signs of life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datajuicer.clusters.scheduler import Seen
from datajuicer.running.states import State

QUEUED = (State.RUNNING, State.PENDING, State.SUSPENDED)  # the scheduler still holds the point's job


@dataclass(frozen=True)
class Evidence:
    """All that is known of one point.

    Attributes:
        stored: its state in the store: done, failed, running (a living claim), missing or waiting.
        submitted: whether the scheduler accepted a job that holds it.
        cancelled: whether that job was cancelled on request.
        retry: whether that job was to compute recorded failures again.
        polls: what the scheduler reported of its element each time it was asked, the latest last; None: not
            mentioned.
        silence: why the scheduler could not be asked, if it could not.
        note: what the element itself wrote about the point; None: it wrote nothing at all.
        is_new: whether the job was sent so lately that the scheduler may not list it yet.
        cause: why the element left no result, as far as the way in which it ended says.
        log: where it wrote what, with the end of that, if it wrote anything.
    """

    stored: State
    submitted: bool = False
    cancelled: bool = False
    retry: bool = False
    polls: Sequence[Seen | None] = ()
    silence: str = ""
    note: str | None = None
    is_new: bool = False
    cause: str = ""
    log: str = ""


def state_of(known: Evidence) -> tuple[State, str]:  # noqa: PLR0911 - one line per state
    """Return the state, and the reason where there is something to explain."""
    latest = next((seen for seen in reversed(known.polls) if seen is not None), None)
    queued = latest if known.submitted and latest is not None and latest.state != "ended" else None
    # the claim of a suspended process looks alive for half a minute
    is_suspended = queued is not None and queued.state == State.SUSPENDED
    if known.stored == State.DONE or (known.stored == State.RUNNING and not is_suspended):
        return State(known.stored), ""
    if known.stored == State.FAILED and not (known.retry and queued):
        return State.FAILED, ""
    if queued is not None:
        return State(queued.state), queued.words
    if known.submitted and known.silence and not known.cancelled:
        return State.UNKNOWN, known.silence
    if known.stored == State.WAITING:
        return State.WAITING, known.note or ""
    if known.submitted and not known.cancelled:
        if known.is_new and latest is None and known.note is None:
            return State.PENDING, "sent just now; the scheduler does not list it yet"
        return State.LOST, _why(known, latest) + (f"; {known.log}" if known.log else "")
    return State.MISSING, "cancelled" if known.cancelled else ""


def _why(known: Evidence, latest: Seen | None) -> str:
    if known.note:
        return known.note
    if known.cause:
        return known.cause
    if latest is None:
        said = "the scheduler does not know its job any more"
    else:
        said = f"its job ended ({latest.words})"
    if known.note is None and not known.log:
        return f"{said} and left no trace in the store: it was killed at once, or its node does not see it"
    return f"{said} before there was a result"
