"""Submitting: the missing points of a grid become array jobs, once, however often it is asked for.

The order makes it safe to be killed anywhere. The campaign's folder appears first, then the job is sent under
the campaign's name, then its id is written down. Whoever comes next and finds a folder without an id asks the
scheduler by name: a job that is there is adopted, one that is not is fenced off by removing its folder.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import datajuicer
from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign, Piece
from datajuicer.clusters.made_with import code_packages, made_with
from datajuicer.clusters.scheduler import NOT_SEEN, NoAnswer, Scheduler
from datajuicer.clusters.site import Site
from datajuicer.clusters.states import UNDER_WAY, State
from datajuicer.clusters.survey import Schedulers, Standing, job_of, survey
from datajuicer.errors import UsageError
from datajuicer.keys import module_name
from datajuicer.running.cachable import Cachable
from datajuicer.running.compute import Work
from datajuicer.running.plan import Item
from datajuicer.running.schedule import batches
from datajuicer.running.status import is_current
from datajuicer.store import claims
from datajuicer.store.store import CAMPAIGNS, Store
from datajuicer.workers.local import THREAD_SETTINGS

ASK_AGAIN = (1.0, 3.0)  # seconds before the scheduler is asked again for a job whose submission got no reply


@dataclass(frozen=True)
class Wish:
    """What a user wants of a cluster."""

    scheduler: Scheduler
    site: Site
    label: str  # the beginning of the campaign's name
    batch: int = 1  # points of one group that share an element
    retry: bool = False  # failed and lost points too

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which a point is submitted."""
        return ("missing", "failed", "lost") if self.retry else ("missing",)


@dataclass(frozen=True)
class Prepared:
    """A campaign that is ready to be sent; nothing of it is written yet."""

    campaign: Campaign
    tasks: bytes
    script: str


def submit(store: Store, items: Sequence[Item], wish: Wish, known: Schedulers) -> list[Campaign]:
    """Submit the points that are missing, and with `retry` those that failed or got lost; what is under way
    stays.

    Raises:
        UsageError: the scheduler refused, or does not answer so that it is not known what is under way.
            Nothing was submitted that the message does not name.
    """
    store.check_writable()
    sent: list[Campaign] = []
    with _alone(store):
        standings = settle(store, items, known)
        for one in prepare(store, standings, wish):
            try:
                _send(store, one, wish.scheduler)
            except UsageError as error:
                if not sent:
                    raise
                names = ", ".join(campaign.name for campaign in sent)
                raise UsageError(f"{error} (submitted before that: {names})") from error
            sent.append(one.campaign)
    return sent


def settle(store: Store, items: Sequence[Item], known: Schedulers) -> list[Standing]:
    """A survey that leaves nothing open: campaigns that never reached their scheduler are taken back.

    Raises:
        UsageError: a scheduler that has to be asked does not answer.
    """
    standings = survey(store, items, known)
    if silent := next((one for one in standings if one.state == "unknown"), None):
        raise UsageError(f"{silent.reason} (what is under way is not known, so nothing was submitted)")
    held = {one.campaign.name: one.campaign for one in standings if one.campaign and one.state != "done"}
    unsent = {name: campaign for name, campaign in held.items() if not campaigns.known_job(store, campaign)}
    for name, campaign in unsent.items():
        if not _job_surely(store, campaign, known[campaign.scheduler]):
            campaigns.discard(store, name)
    return survey(store, items, known) if unsent else standings


def prepare(store: Store, standings: Sequence[Standing], wish: Wish) -> list[Prepared]:
    """The campaigns that would be sent for points that stand so."""
    items = [one.item for one in standings if one.state in wish.states]
    computations = [
        Piece([items[p] for p in places], [_work(store, items[p]) for p in places])
        for places in batches(items, wish.batch)
    ]
    number = max((campaign.number for campaign in campaigns.read_all(store)), default=0)
    limit = wish.site.array_limit
    parts = [computations[start : start + limit] for start in range(0, len(computations), limit)]
    return [_prepared(store, part, number + place, wish) for place, part in enumerate(parts, 1)]


def cancel(store: Store, standings: Sequence[Standing], known: Schedulers) -> list[Campaign]:
    """End the jobs that hold points of a grid which are under way; their points are missing then.

    A job that holds points of other grids too ends with them.
    """
    ended: dict[str, Campaign] = {}
    for one in standings:
        campaign = one.campaign
        if campaign is None or one.state not in (*UNDER_WAY, "unknown") or campaign.name in ended:
            continue
        scheduler = known[campaign.scheduler]
        if job := job_of(store, campaign, scheduler):
            # first the mark: an element that is told to end looks at it to know that it is not its wall time
            campaigns.cancel_mark(store, campaign.name).touch()
            scheduler.cancel(job)
            ended[campaign.name] = campaign
    return list(ended.values())


def _work(store: Store, item: Item) -> Work:
    assert isinstance(item.function, Cachable)
    assert item.key is not None
    record = store.read(item.name, item.key)
    replaces = None if record is None or is_current(store, item.function, record) else record["started"]
    return Work(item.args, item.kwargs, item.arguments, item.dependencies, item.key, replaces)


def _prepared(store: Store, computations: Sequence[Piece], number: int, wish: Wish) -> Prepared:
    tasks, elements = campaigns.pieces(computations)
    functions = [item.function for one in computations for item in one.items]
    label = re.sub(r"[^A-Za-z0-9_.\-]+", "_", wish.label).strip("_.-") or "campaign"
    campaign = Campaign(
        name=f"{label}-{uuid.uuid4().hex[:6]}",
        number=number,
        scheduler=wish.scheduler.name,
        created=time.time(),
        retry=wish.retry,
        made_with=made_with(code_packages(functions)),
        path=tuple(str(Path(entry or ".").absolute()) for entry in sys.path),
        main=module_name("__main__"),
        site=wish.site,
        elements=elements,
    )
    return Prepared(campaign, tasks, script(store, campaign, wish.scheduler))


def script(store: Store, campaign: Campaign, scheduler: Scheduler) -> str:
    """The job script: what the scheduler reads, the site's set-up, and one line that computes an element.

    `exec` puts the worker in the shell's place, so that the scheduler's warning reaches it.
    """
    place = campaigns.folder(store, campaign.name)
    if any(character in str(place) for character in "\"'%\\\n$`"):
        raise UsageError(f"the path {place} holds a quotation mark, %, $ or \\: name another store")
    engine = Path(datajuicer.__file__).resolve().parents[1]
    threads = " ".join(f"{name}={campaign.site.cores}" for name in THREAD_SETTINGS)
    lines = [
        "#!/bin/bash",
        *scheduler.head(campaign.name, len(campaign.elements), campaign.site, place / "logs"),
        "",
        *campaign.site.set_up,
        f"export {threads}",
        f'export PYTHONPATH={shlex.quote(str(engine))}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        f"if ! [ -r {shlex.quote(f'{place}/{campaigns.PLAN}')} ]; then",
        f'    echo "$(hostname) cannot read {place}: keep the store where all nodes see it" >&2',
        f"    exit {NOT_SEEN}",
        "fi",
        f"exec {shlex.quote(sys.executable)} -m datajuicer.launch.element {shlex.quote(str(place))} "
        f"{sha256(campaign.to_bytes()).hexdigest()}",
        "",
    ]
    return "\n".join(lines)


def _send(store: Store, prepared: Prepared, scheduler: Scheduler) -> None:
    campaign = prepared.campaign
    campaigns.write(store, campaign.name, campaign.to_bytes(), prepared.tasks, prepared.script)
    try:
        reply = scheduler.submit(prepared.script)
    except NoAnswer as error:
        if _job_surely(store, campaign, scheduler):
            return
        campaigns.discard(store, campaign.name)
        raise NoAnswer(f"{error} (nothing was submitted)") from error
    except UsageError:  # the command is not there
        campaigns.discard(store, campaign.name)
        raise
    if reply.job:
        campaigns.set_job(store, campaign.name, reply.job)
        return
    if _job_surely(store, campaign, scheduler):
        return
    campaigns.discard(store, campaign.name)
    said = reply.refused or "its answer names no job"
    raise UsageError(f"the job was not accepted, nothing was submitted: {said}")


def _job_surely(store: Store, campaign: Campaign, scheduler: Scheduler) -> str:
    """`job_of`, asked again after a moment: a scheduler may need one to show a new job."""
    for pause in (0.0, *ASK_AGAIN):
        time.sleep(pause)
        if job := job_of(store, campaign, scheduler):
            return job
    return ""


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One submission at a time in a store; another one waits, and then finds what the first submitted."""
    while (held := claims.claim(store, CAMPAIGNS, "submission")) is None:
        time.sleep(0.2)
    with claims.heartbeat([held]):
        yield
