"""Points of a grid counted by state, and why one is in it: what -status and -wait print."""

from collections.abc import Sequence

import datajuicer as dj
from datajuicer.clusters.survey import PointStatus
from datajuicer.running.plan import Call
from datajuicer.running.states import State
from jaxrobust.studies.stages import PlannedStage


def calls_of(stages: Sequence[PlannedStage]) -> list[Call]:
    """The computations of all stages, each once, parents before the points that need them."""
    found: dict[tuple[str, str], Call] = {}
    for planned in stages:
        for call in planned.calls():
            found.setdefault((call.name, call.id), call)
    return list(found.values())


def ids_of(stages: Sequence[PlannedStage]) -> frozenset[tuple[str, str]]:
    """What tells the computations of stages from others."""
    return frozenset((call.name, call.id) for call in calls_of(stages))


def counts(statuses: Sequence[PointStatus]) -> str:
    """How many points are in each state, in one line."""
    by_state = {state: sum(one.state == state for one in statuses) for state in State}
    always = ("done", "running", "failed", "missing")
    sent = any(one.campaign for one in statuses)
    of_jobs = (State.PENDING, State.SUSPENDED, State.LOST)
    shown = [state for state in State if by_state[state] or state in always or (sent and state in of_jobs)]
    return ", ".join(f"{by_state[state]} {state}" for state in shown)


def reason(store: dj.Store, one: PointStatus) -> str:
    """Why a point is in its state, after a colon; nothing if there is nothing to say."""
    why = one.reason
    if one.state == "failed" and one.call.key is not None:
        why = (store.read(one.call.name, one.call.key, "failed") or {}).get("error", "")
    return f": {why}" if why else ""
