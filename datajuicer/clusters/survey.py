"""The survey: where every point of a grid stands, found out from the store, the campaigns and the schedulers.

One question to each scheduler, whatever the number of points; a second one only if a point would count as
lost, since a live job may be absent from one answer and a result may need a moment to appear.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign
from datajuicer.clusters.lsf import Lsf
from datajuicer.clusters.scheduler import NOT_SEEN, Scheduler, Seen
from datajuicer.clusters.slurm import Slurm
from datajuicer.clusters.states import UNDER_WAY, Evidence, State, state_of
from datajuicer.errors import UsageError
from datajuicer.running.plan import Item
from datajuicer.running.status import Outcome, outcomes_of
from datajuicer.store.store import Store

SECOND_LOOK = 3.0  # seconds between the two questions
SEARCHES = 2  # for what looks lost, while somebody waits

Schedulers = Mapping[str, Scheduler]


def schedulers() -> dict[str, Scheduler]:
    """The schedulers by name."""
    return {"lsf": Lsf(), "slurm": Slurm()}


@dataclass(frozen=True)
class Standing:
    """Where one point stands, why, and which element of which campaign holds it, if any."""

    item: Item
    state: State
    reason: str = ""
    campaign: Campaign | None = None
    index: int = 0


def survey(store: Store, items: Sequence[Item], known: Schedulers) -> list[Standing]:
    """Where every computation stands."""
    holders = _holders(store)
    outcomes = outcomes_of(store, list(items))
    open_items = [item for item, outcome in outcomes if outcome != "done"]
    wanted = {
        holder[0].name: holder[0]
        for item in open_items
        if item.key is not None and (holder := holders.get((item.name, item.key)))
    }
    looks: list[_Look] = []
    standings: list[Standing] = []
    for attempt in range(2):
        if attempt:
            time.sleep(SECOND_LOOK)
        looks.append(_look(store, list(wanted.values()), known))
        # the store is read after the scheduler was asked: what has ended by then has its record already
        standings = [
            _stand(store, item, outcome, holders, looks) for item, outcome in outcomes_of(store, list(items))
        ]
        if not any(one.state == "lost" for one in standings):
            break
    return standings


def follow(
    store: Store,
    items: Sequence[Item],
    known: Schedulers,
    tell: Callable[[list[Standing]], None],
    slowest: float = 30.0,
) -> list[Standing]:
    """Survey again and again, ever more slowly, until nothing is under way; `tell` hears of every survey.

    What looks lost is looked for a few times more: on a busy cluster a job that is queued again is in no list
    for seconds.
    """
    wait, searches = 1.0, 0
    while True:
        standings = survey(store, items, known)
        tell(standings)
        states = {one.state for one in standings}
        searches = 0 if states & {*UNDER_WAY, "unknown"} else searches + 1
        if searches and ("lost" not in states or searches > SEARCHES):
            return standings
        time.sleep(wait)
        wait = min(1.5 * wait, slowest)


@dataclass(frozen=True)
class _Look:
    """One question to the schedulers: job ids, what was seen of them, and who did not answer."""

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


def _look(store: Store, wanted: Sequence[Campaign], known: Schedulers) -> _Look:
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
            }
        except UsageError as error:
            silent |= {campaign.name: str(error) for campaign in its}
    return _Look(jobs, seen, silent)


def job_of(store: Store, campaign: Campaign, scheduler: Scheduler) -> str:
    """The id of a campaign's job, empty if it never reached the scheduler.

    The reply to a submission may have been lost, or who waited for it may have been killed: then the
    scheduler is asked by the job's name.

    Raises:
        UsageError: it cannot be asked.
    """
    job = campaigns.known_job(store, campaign)
    if not job and (found := scheduler.find(campaign.name)):
        job = found[0]
        campaigns.set_job(store, campaign.name, job)
    return job


def _stand(
    store: Store,
    item: Item,
    outcome: Outcome,
    holders: Mapping[tuple[str, str], tuple[Campaign, int]],
    looks: Sequence[_Look],
) -> Standing:
    holder = holders.get((item.name, item.key or ""))
    if holder is None or outcome == "done":
        state, reason = state_of(Evidence(outcome))
        return Standing(item, state, reason)
    campaign, index = holder
    place = campaigns.folder(store, campaign.name)
    trace = campaigns.read_trace(place, index)
    job = looks[-1].jobs.get(campaign.name, "")
    seen = [look.seen.get((f"{campaign.scheduler} {job}", index)) for look in looks]
    evidence = Evidence(
        outcome,
        submitted=bool(job) or campaign.name in looks[-1].silent,
        cancelled=campaigns.cancel_mark(store, campaign.name).exists(),
        retry=campaign.retry,
        looks=seen,
        silence=looks[-1].silent.get(campaign.name, ""),
    )
    if trace is not None:
        notes = trace.notes or {}
        evidence = replace(evidence, note=notes.get(item.key or "") or notes.get("", ""))
    elif any(one and str(NOT_SEEN) in one.words.split() for one in map(_plain, seen)):
        evidence = replace(
            evidence, note=f"its node cannot read {place}: keep the store where all nodes see it"
        )
    state, reason = state_of(evidence)
    return Standing(item, state, reason, campaign, index)


def _plain(seen: Seen | None) -> Seen | None:
    """SLURM writes an exit status as 86:0."""
    return seen and replace(seen, words=seen.words.replace(":0", ""))
