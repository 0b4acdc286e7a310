"""One element of a campaign's array job: `python -m datajuicer.launch.element <folder> <digest of its plan>`.

The computation runs in a worker process, as it would at home; this process watches it. A signal of the
scheduler that the wall time is nearly over asks a training for its checkpoint, and the element to be queued
again. What cannot be asked computes on; if it is not ready by the end, that is recorded.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Container
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign, Piece, Trace
from datajuicer.clusters.made_with import difference, made_with
from datajuicer.clusters.scheduler import Place, Scheduler
from datajuicer.clusters.survey import schedulers
from datajuicer.errors import UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.compute import Outcome, Task, Work, record_death
from datajuicer.running.plan import Item
from datajuicer.running.schedule import Order, compute_all
from datajuicer.store.store import Store
from datajuicer.workers.local import LocalExecutor

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
ENDS = (signal.SIGTERM, signal.SIGINT)
LAST_WORDS = 5.0  # seconds for the worker to be gone after it was killed
LOOK_EVERY = 0.1  # seconds


class Watch:
    """What is done when the scheduler sends signals while a worker process computes."""

    def __init__(
        self,
        executor: LocalExecutor,
        can_stop: bool,
        on_warning: Callable[[], None],
        on_end: Callable[[], None],
        is_cancelled: Callable[[], bool],
    ):
        self.executor = executor
        self.can_stop = can_stop
        self.on_warning = on_warning
        self.on_end = on_end
        self.is_cancelled = is_cancelled
        self.signals: list[int] = []
        self.warned = False
        self.ended = False

    def listen(self) -> None:
        """Take signals from now on; only for the main thread."""
        for number in (*WARNINGS, *ENDS):
            signal.signal(number, lambda number, _: self.signals.append(number))

    def compute(self, body: Callable[[], Any]) -> None:
        """Run `body` in a thread, and react to signals until it is through or cannot be waited for."""
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        while thread.is_alive() and not self.ended:
            # Python runs signal handlers between two steps of this thread, so it must never wait for long
            thread.join(LOOK_EVERY)
            self.react_to_all()
        self.react_to_all()  # of a computation that ended together with the wall time
        if self.ended:
            thread.join(LAST_WORDS)

    def react_to_all(self) -> None:
        """Warnings come first: of signals that wait together, Python hears the lowest number first."""
        arrived, self.signals = self.signals, []
        for number in sorted(arrived, key=ENDS.__contains__):
            self.react(number)

    def react(self, number: int) -> None:
        """Pass a signal on to the worker in the way that fits."""
        if number in WARNINGS and not self.warned:
            self.warned = True
            self.on_warning()
            if self.can_stop:
                self.executor.request_stop()
        elif number in ENDS and self.warned and not self.is_cancelled():
            self.ended = True
            self.on_end()
            self.executor.kill()
        elif number in ENDS:
            self.executor.request_stop()


def main(folder: str, digest: str) -> int:
    """Compute an element; the exit status is for the scheduler."""
    place = Path(folder)
    campaign = campaigns.read_plan(place, digest)
    scheduler = schedulers()[campaign.scheduler]
    here = scheduler.place(os.environ)
    if here is None:
        raise UsageError(f"this is no element of an array job of {scheduler.name}")
    before = campaigns.read_trace(place, here.index)
    known = campaigns.known_job(place_store(place), campaign)
    if known and known != here.job:
        raise UsageError(f"{campaign.name} runs as job {known} already; this is a second copy of it")
    trace = Trace(here.job, socket.gethostname(), starts=before.starts + 1 if before else 1)
    trace = replace(trace, steps=before.steps if before else None, notes={})
    campaigns.write_trace(place, here.index, trace)
    sys.path[:] = dict.fromkeys([*campaign.path, *sys.path])
    packages = [n.removeprefix("code of ") for n in campaign.made_with if n.startswith("code of ")]
    if other := difference(campaign.made_with, made_with(packages)):
        sentence = (
            f"{socket.gethostname()} has {other} than the plan was made with: set up the same there, or "
            "submit again with -retry"
        )
        campaigns.write_trace(place, here.index, replace(trace, notes={"": sentence}))
        raise UsageError(sentence)
    piece = campaigns.read_piece(place, campaign.elements[here.index - 1])
    return _compute(place, campaign, piece, scheduler, here, trace)


def place_store(place: Path) -> Store:
    """The store in which a campaign's folder lies."""
    return Store(place.parents[1])


def _compute(
    place: Path, campaign: Campaign, piece: Piece, scheduler: Scheduler, here: Place, trace: Trace
) -> int:
    store = place_store(place)
    steps = [0]

    def on_event(worker: int, kind: str, *content: Any) -> None:
        if kind == "progress":
            steps[0] = max(steps[0], content[1])

    def leave(**changes: Any) -> None:
        campaigns.write_trace(place, here.index, replace(trace, **changes))

    def on_warning() -> None:  # written now, since the end may come without another word
        leave(notes={work.key: f"it {_too_long(campaign)}" for work in piece.works})

    executor = LocalExecutor(1, on_event, main=campaign.main)
    function = piece.items[0].function
    can_stop = isinstance(function, Cachable) and function.takes_job
    is_cancelled = campaigns.cancel_mark(store, campaign.name).exists
    outcomes: dict[int, Outcome] = {}
    through: set[int] = set()

    def count_through() -> None:
        through.update(i for i, outcome in list(outcomes.items()) if outcome.status != "stopped")

    watch = Watch(executor, can_stop, on_warning, count_through, is_cancelled)
    watch.listen()
    broken: list[BaseException] = []
    watch.compute(lambda: _run(store, campaign, piece, executor, outcomes, broken))
    stopped = [i for i in range(len(piece.works)) if outcomes.get(i, Outcome("stopped")).status == "stopped"]
    notes = {piece.works[i].key: o.error for i, o in outcomes.items() if o.status == "refused"}
    if watch.ended or (watch.warned and stopped and not can_stop and not is_cancelled()):
        _record(store, piece, f"was killed: it {_too_long(campaign)}", through)
    elif broken:
        leave(notes={"": f"{type(broken[0]).__name__}: {broken[0]}"})
        raise broken[0]
    elif stopped and watch.warned and not is_cancelled():
        if trace.steps is not None and steps[0] <= trace.steps:
            count_through()
            again = f"in two wall times of {campaign.site.time}; give it more"
            _record(store, piece, f"was ended: it came no further than step {steps[0]} {again}", through)
        else:
            leave(notes=notes, steps=steps[0])
            return _queue_again(scheduler, here, leave)
    elif stopped:
        notes |= {piece.works[i].key: "it was told to end" for i in stopped}
    leave(notes=notes)
    return 1 if notes else 0


def _queue_again(scheduler: Scheduler, here: Place, leave: Callable[..., None]) -> int:
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
    try:
        return scheduler.queue_again(here)
    except UsageError as error:
        leave(notes={"": f"its checkpoint is written, but it could not be queued again: {error}"})
        raise


def _run(
    store: Store,
    campaign: Campaign,
    piece: Piece,
    executor: Executor,
    outcomes: dict[int, Outcome],
    broken: list[BaseException],
) -> None:
    """Compute what is left of an element, and fill in how it went."""
    left = [
        i
        for i, (item, work) in enumerate(zip(piece.items, piece.works, strict=True))
        if not _failed_since(store, campaign, item, work)
    ]
    for i in set(range(len(piece.works))) - set(left):
        outcomes[i] = Outcome("failed")
    if not left:
        return
    order = Order(executor=executor, batch=len(left), progress=True, retry=campaign.retry)
    items, works = [piece.items[i] for i in left], [piece.works[i] for i in left]
    try:
        with closing(compute_all(store, items, works, order)) as results:
            for index, outcome in results:
                outcomes[left[index]] = outcome
    except BaseException as error:
        broken.append(error)


def _failed_since(store: Store, campaign: Campaign, item: Item, work: Work) -> bool:
    """Whether a point has failed in this campaign already, before its element was queued again."""
    record = store.read(item.name, work.key, "failed")
    return record is not None and datetime.fromisoformat(record["started"]).timestamp() > campaign.created


def _too_long(campaign: Campaign) -> str:
    return (
        f"was not ready when its wall time of {campaign.site.time} was over; give it more (-time=H:MM or "
        "time in launch_settings.toml)"
    )


def _record(store: Store, piece: Piece, reason: str, through: Container[int]) -> None:
    """Record points that have no result as failed, but for those that were through before."""
    for index, (item, work) in enumerate(zip(piece.items, piece.works, strict=True)):
        if index not in through and not store.path(item.name, work.key).exists():
            record_death(Task(item.function, item.name, (work,), store), work, reason)


if __name__ == "__main__":
    try:
        exit_status = main(*sys.argv[1:])
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        exit_status = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)  # a thread may still wait for a worker that was killed
