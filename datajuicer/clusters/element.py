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
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters.campaign import Campaign, Chunk, Trace
from datajuicer.clusters.made_with import difference, made_with, packages_of
from datajuicer.clusters.scheduler import Place, Scheduler
from datajuicer.clusters.survey import schedulers
from datajuicer.errors import UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.compute import Task, record_death
from datajuicer.running.options import RunOptions
from datajuicer.running.plan import Call
from datajuicer.running.results import Outcome, Result
from datajuicer.running.schedule import compute_all
from datajuicer.running.status import unfinished_parents
from datajuicer.store.reading import AGAIN
from datajuicer.store.store import Store
from datajuicer.workers.local import LocalExecutor

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
ENDS = (signal.SIGTERM, signal.SIGINT)
WARNED = "DATAJUICER_WARNED"  # a variable; set if a warning came before this process was there
RETRIES = 2  # further attempts at what failed for a cause that may pass, such as a file system that hangs
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
        """Take signals from now on, with those that came before; only for the main thread."""
        for number in (*WARNINGS, *ENDS):
            signal.signal(number, lambda number, _: self.signals.append(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WARNINGS)
        if os.environ.pop(WARNED, ""):
            self.signals.append(WARNINGS[0])

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
        """Handle warnings before termination: Python delivers simultaneous signals in numeric order."""
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
    known = campaigns.known_job(Store(place.parents[1]), campaign)
    if known and known != here.job:
        raise UsageError(f"{campaign.name} runs as job {known} already; this is a second copy of it")
    trace = Trace(here.job, socket.gethostname(), starts=before.starts + 1 if before else 1)
    trace = replace(trace, steps=before.steps if before else None, notes={})
    campaigns.write_trace(place, here.index, trace)
    sys.path[:] = dict.fromkeys([*campaign.path, *sys.path])
    try:
        if other := difference(campaign.made_with, made_with(packages_of(campaign.made_with))):
            raise UsageError(
                f"{socket.gethostname()} has {other} than the plan was made with: set up the same there, or "
                "submit again with -retry"
            )
        chunk = _chunk(place, campaign, here)
        store = _store(place, campaign)
    except UsageError as error:
        campaigns.write_trace(place, here.index, replace(trace, notes={"": str(error)}))
        raise
    return _compute(store, place, campaign, chunk, scheduler, here, trace)


def _chunk(place: Path, campaign: Campaign, here: Place) -> Chunk:
    """What this element computes.

    Raises:
        UsageError: It is not what was planned, or a file that defines a part of it cannot be imported.
    """
    try:
        return campaigns.read_chunk(place, campaign.elements[here.index - 1])
    except UsageError:
        raise
    except Exception as error:  # whatever importing a user's file raises
        raise UsageError(
            f"{socket.gethostname()} cannot import what a point holds ({type(error).__name__}: {error}): "
            "keep the file that defines it where all nodes see it, and submit again with -retry"
        ) from error


def _store(place: Path, campaign: Campaign) -> Store:
    """The store in which a campaign's folder lies, over those that it was planned with.

    Raises:
        UsageError: one of these cannot be seen here.
    """
    try:
        return Store(place.parents[1], below=campaign.below)
    except UsageError as error:
        raise UsageError(
            f"{socket.gethostname()} does not see all stores ({error}): keep them where all nodes see them, "
            "and submit again with -retry"
        ) from error


def _compute(
    store: Store,
    place: Path,
    campaign: Campaign,
    chunk: Chunk,
    scheduler: Scheduler,
    here: Place,
    trace: Trace,
) -> int:
    progress: dict[str, int] = {}  # by key: steps of its training

    def on_event(worker: int, kind: str, *content: Any) -> None:
        if kind == "progress":
            progress[content[0]] = max(progress.get(content[0], 0), content[1])

    def leave(**changes: Any) -> None:
        campaigns.write_trace(place, here.index, replace(trace, **changes))

    def on_warning() -> None:  # written now, since the end may come without another word
        leave(notes={call.id: f"it {_too_long(campaign)}" for call in chunk.calls})

    executor = LocalExecutor(1, on_event, main=campaign.main)
    functions = [call.function for call in chunk.calls]
    can_stop = all(isinstance(function, Cachable) and function.takes_job for function in functions)
    is_cancelled = campaigns.cancel_mark(store, campaign.name).exists
    computing = _Computing(store, campaign, chunk, executor)
    finished: set[int] = set()

    def count_finished() -> None:
        finished.update(computing.finished())

    watch = Watch(executor, can_stop, on_warning, count_finished, is_cancelled)
    watch.listen()
    watch.compute(computing.run)
    stopped = set(range(len(chunk.calls))) - computing.finished()
    # of the call that was stopped alone: in a chain, what finished before had steps of its own
    steps = max((progress.get(chunk.calls[i].id, 0) for i in stopped), default=0)
    results = computing.results
    refused = ((i, result) for i, result in results.items() if result.outcome is Outcome.REFUSED)
    notes = {
        chunk.calls[i].id: result.error.replace(AGAIN, "submit again with -retry") for i, result in refused
    }
    if watch.ended or (watch.warned and stopped and not can_stop and not is_cancelled()):
        _record(store, chunk, f"was killed: it {_too_long(campaign)}", finished)
    elif (error := computing.error) is not None:
        leave(notes={"": f"{type(error).__name__}: {error}"})
        raise error
    elif stopped and watch.warned and not is_cancelled():
        if trace.steps is not None and steps <= trace.steps and not computing.finished_now:
            count_finished()
            again = f"in two wall times of {campaign.site.time}; give it more"
            _record(store, chunk, f"was ended: it came no further than step {steps} {again}", finished)
        else:
            leave(notes=notes, steps=steps)
            return _queue_again(scheduler, here, leave)
    elif stopped:
        notes |= {chunk.calls[i].id: "it was told to end" for i in stopped}
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


class _Computing:
    """The computation of an element's chunk in a thread; the main thread reads results as they come."""

    def __init__(self, store: Store, campaign: Campaign, chunk: Chunk, executor: Executor):
        self.store = store
        self.campaign = campaign
        self.chunk = chunk
        self.executor = executor
        self.results: dict[int, Result] = {}  # by place in the chunk
        self.error: BaseException | None = None  # what ended the run itself
        self.finished_now = False  # whether a call got its result since this process started

    def finished(self) -> set[int]:
        """Return the places that have a result, other than being stopped."""
        return {i for i, result in list(self.results.items()) if result.outcome is not Outcome.STOPPED}

    def run(self) -> None:
        """Compute what is left of the chunk."""
        try:
            for places in self.chunk.places():
                self._compute(places)
                if any(i not in self.finished() for i in places):
                    return  # told to end
        except BaseException as error:
            self.error = error

    def _compute(self, places: Sequence[int]) -> None:
        """Compute one step of the chunk; a call whose parents have no result is refused in one sentence."""
        calls = self.chunk.calls
        for i in places:
            if self.store.has(calls[i].name, calls[i].id) and calls[i].replaces is None:
                self.results[i] = Result(Outcome.DONE)
            elif _failed_since(self.store, self.campaign, calls[i]):
                self.results[i] = Result(Outcome.FAILED)
            elif unfinished := unfinished_parents(self.store, calls[i]):
                labels = ", ".join(parent.label for parent in unfinished)
                sentence = f"it was not computed, because {labels} has no result: see why there"
                print(f"{calls[i].name}: {sentence}", flush=True)
                self.results[i] = Result(Outcome.REFUSED, error=sentence)
        left = [i for i in places if i not in self.results]
        if not left:
            return
        options = RunOptions(
            executor=self.executor,
            batch=len(left),
            progress=True,
            retry=self.campaign.retry,
            retries=RETRIES,
        )
        with closing(compute_all(self.store, [calls[i] for i in left], options)) as results:
            for place, result in results:
                self.results[left[place]] = result
                self.finished_now |= result.outcome is Outcome.DONE


def _failed_since(store: Store, campaign: Campaign, call: Call) -> bool:
    """Whether a point has failed in this campaign already, before its element was queued again."""
    record = store.read(call.name, call.id, "failed")
    return record is not None and datetime.fromisoformat(record["started"]).timestamp() > campaign.created


def _too_long(campaign: Campaign) -> str:
    return (
        f"was not ready when its wall time of {campaign.site.time} was over; give it more (-time=H:MM or "
        "time in launch_settings.toml)"
    )


def _record(store: Store, chunk: Chunk, reason: str, finished: Container[int]) -> None:
    """Record calls that have no result as failed, except those that finished before."""
    for place, call in enumerate(chunk.calls):
        if place not in finished and not store.has(call.name, call.id):
            record_death(Task((call,), store), reason)


def run() -> NoReturn:
    """Compute the element that the command line names, and end this process."""
    try:
        exit_status = main(*sys.argv[1:])
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        exit_status = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)  # a thread may still wait for a worker that was killed


if __name__ == "__main__":
    run()
