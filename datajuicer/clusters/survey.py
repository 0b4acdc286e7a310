"""The survey: the state of every point of a grid, from the store, the campaigns and the schedulers.

One question to each scheduler, whatever the number of points; a second one only if a point would count as
lost, since a live job may be absent from one answer and a result may need a moment to appear.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign
from datajuicer.clusters.endings import NOT_SEEN, cause
from datajuicer.clusters.lsf import Lsf
from datajuicer.clusters.scheduler import Scheduler, Seen
from datajuicer.clusters.slurm import Slurm
from datajuicer.clusters.states import QUEUED, Evidence, state_of
from datajuicer.errors import UsageError
from datajuicer.running.parent import Parent
from datajuicer.running.plan import Call
from datajuicer.running.settling import settle_all
from datajuicer.running.states import State
from datajuicer.running.status import states_of, unfinished_parents
from datajuicer.store.listing import Listing
from datajuicer.store.store import Store

SECOND_LOOK = 3.0  # seconds between the two questions
SEARCHES = 2  # for what looks lost, while somebody waits

Schedulers = Mapping[str, Scheduler]


def schedulers() -> dict[str, Scheduler]:
    """The schedulers by name."""
    return {"lsf": Lsf(), "slurm": Slurm()}


@dataclass(frozen=True)
class PointStatus:
    """The state of one point, the reason for it, and which element of which campaign holds it, if any."""

    call: Call
    state: State
    reason: str = ""
    campaign: Campaign | None = None
    index: int = 0
    unfinished: tuple[Parent, ...] = ()  # its parents without a result


def survey(store: Store, calls: Sequence[Call], known: Schedulers) -> list[PointStatus]:
    """Return the status of every call."""
    holders = _holders(store)
    listing = Listing(store.outcomes)
    calls = settle_all(store, calls, listing)
    states = states_of(store, calls, listing)
    unfinished = [call for call, state in zip(calls, states, strict=True) if state is not State.DONE]
    wanted = {
        holder[0].name: holder[0] for call in unfinished if (holder := holders.get((call.name, call.id)))
    }
    polls: list[_Poll] = []
    statuses: list[PointStatus] = []
    for attempt in range(2):
        if attempt:
            time.sleep(SECOND_LOOK)
        polls.append(_poll(store, list(wanted.values()), known))
        # the store is read after the scheduler was asked: what has ended by then has its record already
        states = states_of(store, calls, Listing(store.outcomes))
        statuses = [
            _status(store, call, state, holders, polls, known)
            for call, state in zip(calls, states, strict=True)
        ]
        if not any(status.state is State.LOST for status in statuses):
            break
    return [_with_parents(store, status) for status in statuses]


def _with_parents(store: Store, status: PointStatus) -> PointStatus:
    """Add the parents without a result to a point that waits, and say which they are."""
    if status.state is not State.WAITING:
        return status
    unfinished = unfinished_parents(store, status.call)
    labels = ", ".join(parent.label for parent in unfinished)
    return replace(status, unfinished=unfinished, reason=status.reason or f"for {labels}")


def follow(
    store: Store,
    calls: Sequence[Call],
    known: Schedulers,
    report: Callable[[list[PointStatus]], None],
    slowest: float = 30.0,
) -> list[PointStatus]:
    """Survey repeatedly, at growing intervals, until no job is queued; `report` receives every survey.

    Points that look lost are surveyed a few times more: on a busy cluster a job that is queued again is in no
    list for seconds.
    """
    wait, searches = 1.0, 0
    while True:
        statuses = survey(store, calls, known)
        report(statuses)
        states = {status.state for status in statuses}
        searches = 0 if states & {*QUEUED, State.UNKNOWN} else searches + 1
        if searches and (State.LOST not in states or searches > SEARCHES):
            return statuses
        time.sleep(wait)
        wait = min(1.5 * wait, slowest)


@dataclass(frozen=True)
class _Poll:
    """One poll of the schedulers: job ids, what they reported of them, and which did not answer."""

    jobs: dict[str, str]  # by campaign; empty: it never reached the scheduler
    seen: dict[tuple[str, int], Seen]
    silent: dict[str, str]  # by campaign: why nothing is known


def _holders(store: Store) -> dict[tuple[str, str], tuple[Campaign, int]]:
    """Function and key → the latest campaign that holds the point, and the index of the element there."""
    return {
        point: (campaign, index)
        for campaign in campaigns.read_all(store)
        for index, element in enumerate(campaign.elements, 1)
        for point in element.points
    }


def _poll(store: Store, wanted: Sequence[Campaign], known: Schedulers) -> _Poll:
    jobs: dict[str, str] = {}
    seen: dict[tuple[str, int], Seen] = {}
    silent: dict[str, str] = {}
    for name in sorted({campaign.scheduler for campaign in wanted}):
        its = [campaign for campaign in wanted if campaign.scheduler == name]
        try:
            for campaign in its:
                jobs[campaign.name] = job_of(store, campaign, known[name])
            seen |= {
                (f"{name} {job}", index): what
                for (job, index), what in known[name]
                .poll([jobs[c.name] for c in its if jobs[c.name]])
                .items()
                if any(jobs[c.name] == job and _is_of(c, what) for c in its)
            }
        except UsageError as error:
            silent |= {campaign.name: str(error) for campaign in its}
    return _Poll(jobs, seen, silent)


def job_of(store: Store, campaign: Campaign, scheduler: Scheduler) -> str:
    """The id of a campaign's job, empty if it never reached the scheduler.

    The reply to a submission may have been lost, or who waited for it may have been killed: then the
    scheduler is asked by the job's name.

    Raises:
        UsageError: it cannot be asked.
    """
    job = campaigns.known_job(store, campaign)
    if not job:
        found = scheduler.find(campaign.name)
        if job := next((job for (job, _), seen in found.items() if _is_of(campaign, seen)), ""):
            campaigns.set_job(store, campaign.name, job)
    return job


def _is_of(campaign: Campaign, seen: Seen) -> bool:
    """Whether the scheduler speaks of a campaign's job: it uses numbers again, names and users it does not.

    Not by the time of submission, which changes when a job is queued again.
    """
    is_same_user = not (seen.user and campaign.user) or seen.user == campaign.user
    return seen.name in ("", campaign.name) and is_same_user


def _status(
    store: Store,
    call: Call,
    stored: State,
    holders: Mapping[tuple[str, str], tuple[Campaign, int]],
    polls: Sequence[_Poll],
    known: Schedulers,
) -> PointStatus:
    holder = holders.get((call.name, call.id))
    if holder is None or stored is State.DONE:
        state, reason = state_of(Evidence(stored))
        return PointStatus(call, state, reason)
    campaign, index = holder
    place, lag = campaigns.folder(store, campaign.name), known[campaign.scheduler].lag
    trace = campaigns.read_trace(place, index)
    job = polls[-1].jobs.get(campaign.name, "")
    seen = [poll.seen.get((f"{campaign.scheduler} {job}", index)) for poll in polls]
    ended = next((one for one in reversed(seen) if one is not None and one.state == "ended"), None)
    is_alive = any(one is not None and one.state != "ended" for one in seen)
    log = "" if is_alive else campaigns.end_of_log(place, index)
    evidence = Evidence(
        stored,
        submitted=bool(job) or campaign.name in polls[-1].silent,
        cancelled=campaigns.cancel_mark(store, campaign.name).exists(),
        retry=campaign.retry,
        polls=seen,
        silence=polls[-1].silent.get(campaign.name, ""),
        is_new=abs(time.time() - campaign.created) < lag,
        log=log,
    )
    if trace is not None:
        notes = trace.notes or {}
        evidence = replace(evidence, note=notes.get(call.id) or notes.get("", ""))
    if ended is not None and trace is None and ended.ending.status == NOT_SEEN:
        unseen = f"its node cannot read {place}: keep the store where all nodes see it"
        evidence = replace(evidence, note=unseen)
    elif ended is not None:
        has_started = trace is not None or bool(log)
        evidence = replace(evidence, cause=cause(ended.ending, ended.words, has_started))
    state, reason = state_of(evidence)
    return PointStatus(call, state, reason, campaign, index)
