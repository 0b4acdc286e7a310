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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import datajuicer
from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign, Chunk
from datajuicer.clusters.element import WARNED
from datajuicer.clusters.endings import NOT_SEEN
from datajuicer.clusters.made_with import code_packages, made_with
from datajuicer.clusters.refusals import setting_behind
from datajuicer.clusters.scheduler import NoAnswer, Scheduler
from datajuicer.clusters.site import Site, checked_set_up
from datajuicer.clusters.snapshot import CODE
from datajuicer.clusters.states import QUEUED
from datajuicer.clusters.survey import PointStatus, Schedulers, job_of, survey
from datajuicer.errors import UsageError
from datajuicer.keys import module_name
from datajuicer.running.cachable import Cachable
from datajuicer.running.code.provenance import Codes
from datajuicer.running.parent import Parent
from datajuicer.running.plan import Call, batches
from datajuicer.running.states import State
from datajuicer.running.status import is_current
from datajuicer.store import claims
from datajuicer.store.listing import CAMPAIGNS
from datajuicer.store.processes import user_name
from datajuicer.store.store import Store
from datajuicer.workers.local import THREAD_SETTINGS

LONGEST_LABEL = 60  # characters; names of jobs and folders must not be long
# Seconds before the scheduler is asked again for a job whose submission got no reply.
ASK_AGAIN = (1.0, 3.0, 8.0)

# Signals are blocked before anything is imported; `main` takes those that waited.
_START = (
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2)); "
    "from datajuicer.clusters.element import run; run()"
)


@dataclass(frozen=True)
class SubmitOptions:
    """Where and how points are submitted."""

    scheduler: Scheduler
    site: Site
    label: str  # the beginning of the campaign's name
    batch: int = 1  # points of one group that share an element
    retry: bool = False  # failed and lost points too
    snapshot: bool = False  # run a copy of the code as it is now, whatever is edited while the jobs wait
    chained: Callable[[Call], bool] = lambda call: False  # computed by the element that computes its parent

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which a point is submitted."""
        return (State.MISSING, State.FAILED, State.LOST) if self.retry else (State.MISSING,)


@dataclass(frozen=True)
class Prepared:
    """A campaign that is ready to be sent; nothing of it is written yet."""

    campaign: Campaign
    tasks: bytes
    after: tuple[str, ...] = ()  # campaigns that compute parents of its points

    def script(
        self, store: Store, scheduler: Scheduler, jobs: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """Return the job script; `jobs` are ids by campaign, and the name stands for an unknown one."""
        return script(store, self.campaign, scheduler, [jobs.get(name, f"<{name}>") for name in self.after])


def submit(store: Store, calls: Sequence[Call], options: SubmitOptions, known: Schedulers) -> list[Campaign]:
    """Submit the points that are missing, and with `retry` those that failed or got lost; queued points stay.

    Points that wait for parents are submitted if all of these are queued or submitted now, as array jobs that
    start after those of the parents. Parents come before the points that need them.

    Raises:
        UsageError: the scheduler refused, or does not answer so that it is not known what is under way.
            Nothing was submitted that the message does not name.
    """
    store.check_writable()
    sent: list[Campaign] = []
    options.scheduler.check()
    with _alone(store):
        statuses = settle(store, calls, known)
        for one in prepare(store, statuses, options):
            try:
                _send(store, one, options.scheduler)
            except UsageError as error:
                if not sent:
                    raise
                names = ", ".join(campaign.name for campaign in sent)
                raise UsageError(f"{error} (submitted before that: {names})") from error
            sent.append(one.campaign)
    return sent


def settle(store: Store, calls: Sequence[Call], known: Schedulers) -> list[PointStatus]:
    """Survey, and discard the campaigns that never reached their scheduler.

    Raises:
        UsageError: a scheduler that has to be asked does not answer.
    """
    statuses = survey(store, calls, known)
    if silent := next((status for status in statuses if status.state is State.UNKNOWN), None):
        raise UsageError(f"{silent.reason} (what is under way is not known, so nothing was submitted)")
    held = {s.campaign.name: s.campaign for s in statuses if s.campaign and s.state is not State.DONE}
    unsent = {name: campaign for name, campaign in held.items() if not campaigns.known_job(store, campaign)}
    for name, campaign in unsent.items():
        if not _job_surely(store, campaign, known[campaign.scheduler]):
            campaigns.discard(store, name)
    return survey(store, calls, known) if unsent else statuses


def prepare(store: Store, statuses: Sequence[PointStatus], options: SubmitOptions) -> list[Prepared]:
    """Return the campaigns that would be sent for points with these statuses."""
    number = max((campaign.number for campaign in campaigns.read_all(store)), default=0)
    limit = options.site.array_limit
    holders = {
        (s.call.name, s.call.id): s.campaign.name for s in statuses if s.campaign and s.state in QUEUED
    }
    prepared: list[Prepared] = []
    for chunks in arrays(statuses, options):
        for start in range(0, len(chunks), limit):
            part = [_replacing(store, chunk) for chunk in chunks[start : start + limit]]
            own = {(call.name, call.id) for chunk in part for call in chunk.calls}
            parents = {_id(parent) for chunk in part for call in chunk.calls for parent in call.parents} - own
            after = tuple(sorted({holders[parent] for parent in parents if parent in holders}))
            one = _prepared(store, part, number + len(prepared) + 1, after, options)
            prepared.append(one)
            holders |= dict.fromkeys(own, one.campaign.name)
    return prepared


def cancel(store: Store, statuses: Sequence[PointStatus], known: Schedulers) -> list[Campaign]:
    """Cancel the jobs that hold queued points of a grid; their points are missing then.

    A job that holds points of other grids too ends with them.
    """
    ended: dict[str, Campaign] = {}
    for status in statuses:
        campaign = status.campaign
        if campaign is None or status.state not in (*QUEUED, State.UNKNOWN) or campaign.name in ended:
            continue
        scheduler = known[campaign.scheduler]
        if job := job_of(store, campaign, scheduler):
            # first the mark: an element that is told to end looks at it to know that it is not its wall time
            campaigns.cancel_mark(store, campaign.name).touch()
            scheduler.cancel(job, campaign.name)
            ended[campaign.name] = campaign
    return list(ended.values())


def arrays(statuses: Sequence[PointStatus], options: SubmitOptions) -> list[list[Chunk]]:
    """Return the elements of each array job; an array comes after those that compute its parents."""
    queued = {(s.call.name, s.call.id) for s in statuses if s.state in QUEUED}
    depths: dict[tuple[str, str], int] = {}  # by call: the array that computes it
    calls: dict[int, list[Call]] = {}
    followers: dict[tuple[str, str], list[Call]] = {}  # by call: the calls that its element computes after it
    heads: dict[tuple[str, str], tuple[tuple[str, str], int]] = {}  # by follower: whom it follows, its step
    for status in statuses:
        call, own = status.call, (status.call.name, status.call.id)
        needed = [_id(parent) for parent in call.parents]
        sent = [parent for parent in needed if parent in depths]
        if status.state is State.WAITING:
            unfinished = [_id(parent) for parent in status.unfinished]
            if not all(parent in depths or parent in queued for parent in unfinished):
                continue
        elif status.state not in options.states:
            continue
        if options.chained(call) and len(sent) == 1 and not queued.intersection(needed):
            head, step = heads.get(sent[0], (sent[0], 0))
            heads[own] = (head, step + 1)
            depths[own] = depths[head]
            followers.setdefault(head, []).append(call)
            continue
        depths[own] = 1 + max((depths[parent] for parent in sent), default=-1)
        calls.setdefault(depths[own], []).append(call)
    return [
        [_chunk([calls[depth][place] for place in places], followers, heads) for places in groups]
        for depth in sorted(calls)
        for groups in [list(batches(calls[depth], options.batch))]
    ]


def _chunk(
    first: Sequence[Call],
    followers: Mapping[tuple[str, str], Sequence[Call]],
    heads: Mapping[tuple[str, str], tuple[tuple[str, str], int]],
) -> Chunk:
    later = [call for head in first for call in followers.get((head.name, head.id), ())]
    steps = [0] * len(first) + [heads[call.name, call.id][1] for call in later]
    return Chunk((*first, *later), tuple(steps))


def _id(parent: Parent) -> tuple[str, str]:
    return parent.function.table_name, parent.key


def _replacing(store: Store, chunk: Chunk) -> Chunk:
    return replace(chunk, calls=tuple(_replacing_one(store, call) for call in chunk.calls))


def _replacing_one(store: Store, call: Call) -> Call:
    assert isinstance(call.function, Cachable)
    function, codes = call.function, Codes()
    record = store.read(call.name, call.id)
    if record is not None:
        is_valid = is_current(store, function, call.arguments, record, codes)
        return call if is_valid else replace(call, replaces=record["started"])
    failed = store.read(call.name, call.id, "failed")
    if failed is not None and codes.asks_for_retry(function, call.arguments, failed):
        return replace(call, replaces=failed["started"])
    return call


def _prepared(
    store: Store, chunks: Sequence[Chunk], number: int, after: tuple[str, ...], options: SubmitOptions
) -> Prepared:
    tasks, elements = campaigns.pickle_chunks(chunks)
    functions = [call.function for chunk in chunks for call in chunk.calls]
    label = re.sub(r"[^A-Za-z0-9_.\-]+", "_", options.label).strip("_.-")[:LONGEST_LABEL] or "campaign"
    name = f"{label}-{uuid.uuid4().hex[:6]}"
    code = [str(campaigns.folder(store, name) / CODE)] if options.snapshot else []
    campaign = Campaign(
        name=name,
        number=number,
        scheduler=options.scheduler.name,
        created=time.time(),
        retry=options.retry,
        made_with=made_with(code_packages(functions)),
        path=(*code, *(str(Path(entry or ".").absolute()) for entry in sys.path)),
        main=module_name("__main__"),
        site=options.site,
        elements=elements,
        snapshot=options.snapshot,
        user=user_name(),
        below=tuple(map(str, store.below)),
    )
    return Prepared(campaign, tasks, after)


def script(store: Store, campaign: Campaign, scheduler: Scheduler, after: Sequence[str] = ()) -> str:
    """The job script: what the scheduler reads, the site's set-up, and one line that computes an element.

    `exec` puts the worker in the shell's place, so that the scheduler's warning reaches it. A warning that
    comes before is remembered by the shell, and from then on waits until the worker can take it: it blocks
    the signals as its first step.
    """
    place = campaigns.folder(store, campaign.name)
    if any(character in str(place) for character in "\"'%\\\n$`"):
        raise UsageError(f"the path {place} holds a quotation mark, %, $ or \\: name another store")
    engine = place / CODE if campaign.snapshot else Path(datajuicer.__file__).resolve().parents[1]
    threads = " ".join(f"{name}={campaign.site.cores}" for name in THREAD_SETTINGS)
    lines = [
        "#!/bin/bash -l" if campaign.site.login_shell else "#!/bin/bash",
        *scheduler.head(campaign.name, len(campaign.elements), campaign.site, place / "logs", after),
        "",
        f"trap 'export {WARNED}=1' USR1 USR2",
        *checked_set_up(campaign.site),
        f"export {threads}",
        f'export PYTHONPATH={shlex.quote(str(engine))}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        f"if ! [ -r {shlex.quote(f'{place}/{campaigns.PLAN}')} ]; then",
        f'    echo "$(hostname) cannot read {place}: keep the store where all nodes see it" >&2',
        f"    exit {NOT_SEEN}",
        "fi",
        "trap '' USR1 USR2",
        # -P: what is imported does not depend on the folder in which the job was sent
        f"exec {shlex.quote(sys.executable)} -P -c {shlex.quote(_START)} {shlex.quote(str(place))} "
        f"{sha256(campaign.to_bytes()).hexdigest()}",
        "",
    ]
    return "\n".join(lines)


def _send(store: Store, prepared: Prepared, scheduler: Scheduler) -> None:
    campaign = prepared.campaign
    known = {one.name: campaigns.known_job(store, one) for one in campaigns.read_all(store)}
    script = prepared.script(store, scheduler, known)
    campaigns.write(store, campaign, prepared.tasks, script)
    try:
        reply = scheduler.submit(script)
    except NoAnswer as error:
        if _was_sent(store, campaign, scheduler):
            return
        campaigns.discard(store, campaign.name)
        raise NoAnswer(f"{error} (nothing was submitted)") from error
    except UsageError:  # the command is not there
        campaigns.discard(store, campaign.name)
        raise
    if reply.job:
        campaigns.set_job(store, campaign.name, reply.job)
        return
    if reply.refused:
        campaigns.discard(store, campaign.name)
        setting = setting_behind(reply.refused)
        raise UsageError(
            f"the job was not accepted, nothing was submitted: {reply.refused}"
            + (f" ({setting})" if setting else "")
        )
    if _was_sent(store, campaign, scheduler):
        return
    campaigns.discard(store, campaign.name)
    raise UsageError(
        f"it is not clear whether the job was accepted, and the scheduler lists none: {reply.unclear}. Give "
        "the same command again; should this job start all the same, it ends at once"
    )


def _was_sent(store: Store, campaign: Campaign, scheduler: Scheduler) -> bool:
    """Whether a job exists after a submission that got no clear reply.

    Raises:
        NoAnswer: That is not known either; the campaign stays, and the same command later finds out.
    """
    try:
        return bool(_job_surely(store, campaign, scheduler))
    except NoAnswer as error:
        raise NoAnswer(f"{error} (it is not known whether {campaign.name} was submitted)") from error


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
    with claims.holding([held]):
        yield
