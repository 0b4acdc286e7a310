"""The schedule of a run: tasks go to an executor as its workers become free, until no call is left.

Only the interface of `concurrent.futures.Executor` is used; the executors of this package additionally pass
on a request to stop.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from datajuicer import keys
from datajuicer.errors import Interrupted, WorkerDied
from datajuicer.running.arguments import Copier, shared_objects
from datajuicer.running.cachable import Cachable
from datajuicer.running.circumstances import circumstances
from datajuicer.running.code.provenance import Code, Codes
from datajuicer.running.compute import Task, compute, compute_pickled, record_death
from datajuicer.running.describe import with_description
from datajuicer.running.messages import identifying_keys, identifying_label
from datajuicer.running.options import RunOptions
from datajuicer.running.plan import Call, batches
from datajuicer.running.progress import Progress, Silent, Told, in_notebook, make_progress
from datajuicer.running.results import Outcome, Result
from datajuicer.running.stop import Stop
from datajuicer.store import claims
from datajuicer.store.pickled import check_ours
from datajuicer.store.store import Store
from datajuicer.workers.local import InProcess, LocalExecutor, Stoppable
from datajuicer.workers.shared import SharedObjects

MAX_UNSTORABLE = 3  # values of one function that could not be stored, after which it is not called again
POLL_INTERVAL = 0.2  # seconds between two looks at what another process computes
MAX_POLL_INTERVAL = 5.0
RETRY_AFTER = 1.0  # seconds before the first further attempt; doubles each time


def compute_all(
    keep: Store | None, calls: Sequence[Call], options: RunOptions
) -> Generator[tuple[int, Result]]:
    """Make all calls and yield the place and result of each as they come.

    Raises:
        Interrupted: on Ctrl-C, after the running functions have written their checkpoints.
    """
    if keep is not None and any(isinstance(call.function, Cachable) for call in calls):
        keep.check_writable()
        for name in {call.name for call in calls if getattr(call.function, "loader", None) == "pickle"}:
            check_ours(keep.root, keep.root)
            check_ours(keep.root / name, keep.root)
    names = [call.name for call in calls]
    points = [call.point for call in calls]
    keys_shown = identifying_keys(points, names)
    labels = [f"{call.name} {identifying_label(call.point, keys_shown)}".strip() for call in calls]
    display = _display(calls, labels, options)
    stop = Stop()
    executor = options.executor or _make_executor(len(calls), options, display, stop)
    schedule = _Schedule(keep, calls, labels, options, executor, display, stop)
    try:
        with stop.handling(executor):
            yield from schedule.results()
    except BaseException as error:
        if isinstance(executor, Stoppable):
            executor.kill()
        if isinstance(error, KeyboardInterrupt) and stop.count:
            raise schedule.interrupted() from None
        raise
    finally:
        display.close()
        if options.executor is None:
            executor.shutdown(cancel_futures=True)
    if stop.count:
        raise schedule.interrupted()


def _display(calls: Sequence[Call], labels: Sequence[str], options: RunOptions) -> Progress:
    wanted = _shows_progress(options)
    if wanted is False:
        return Silent()
    told = [Told(call.id, label, _kind(call)) for call, label in zip(calls, labels, strict=True)]
    # how many workers another executor has is not known: its points are seen as they come
    return make_progress(wanted, told, 1 if options.executor is not None else options.n_threads)


def _kind(call: Call) -> str:
    """What calls have in common whose times say something of each other: function and program."""
    try:
        return call.batch_id() or call.name
    except Exception:  # raised again, and reported, where the call is made
        return call.name


def _shows_progress(options: RunOptions) -> bool | None:
    """In one process and without a terminal the functions' own output is progress enough."""
    is_watched = sys.stderr.isatty() or in_notebook()
    is_watched = is_watched or options.executor is not None or options.n_threads > 1
    return options.progress if is_watched or options.progress else False


def _make_executor(n_calls: int, options: RunOptions, display: Progress, stop: Stop) -> Executor:
    if options.n_threads == 1 and options.time_limit is None:
        return InProcess(stop.link(display))
    return LocalExecutor(min(options.n_threads, n_calls), display.event, time_limit=options.time_limit)


@dataclass
class _Schedule:
    keep: Store | None
    calls: Sequence[Call]
    labels: Sequence[str]
    options: RunOptions
    executor: Executor
    display: Progress
    stop: Stop
    n_finished: int = 0
    running: dict[Future[Any], tuple[int, ...]] = field(default_factory=dict)
    # what another process computes: when to look again, and after what interval
    elsewhere: dict[int, tuple[float, float]] = field(default_factory=dict)
    full: str = ""  # why the store takes no more
    n_failed: int = 0
    attempts: dict[int, int] = field(default_factory=dict)  # further ones, by place
    again: dict[int, float] = field(default_factory=dict)  # by place: when the next attempt begins
    codes: Codes = field(default_factory=Codes)
    # function → how many of its values could not be stored, and why
    unstorable: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shared = shared_objects((call.args, call.kwargs) for call in self.calls)
        self.copier = Copier(shared)
        self.encoded: dict[Any, Any] = {}
        self.shared = SharedObjects()
        if isinstance(self.executor, LocalExecutor):
            for function in {id(call.function): call.function for call in self.calls}.values():
                self.shared.add(function, immutable=True)
            for value in shared:
                self.shared.add(value, immutable=False)

    def interrupted(self) -> Interrupted:
        """Return what a run that was stopped raises."""
        total = len(self.calls)
        return Interrupted(
            f"stopped: {self.n_finished} of {total} points are through; the same run goes on from here"
        )

    def results(self) -> Iterator[tuple[int, Result]]:
        pending = deque(batches(self.calls, self.options.batch))
        provenance = circumstances() if self.keep is not None else {}
        while pending or self.running or self.elsewhere or self.again:
            if self.stop.count:
                pending.clear()
                self.elsewhere.clear()
                self.again.clear()
                for future in self.running:
                    future.cancel()
            elif self.full or self.unstorable or self._has_failed_enough():
                yield from self._give_up(pending)
            while pending and self._has_room():
                places = pending.popleft()
                self.running[self._submit(places, provenance)] = places
                if isinstance(self.executor, InProcess):
                    break  # it is computed already: yield it before the next
            yield from self._collect(pending)
            pending.extend((place,) for place in self._poll_elsewhere())
            pending.extend((place,) for place in self._due())

    def _has_room(self) -> bool:
        if self.options.executor is not None:
            return True  # it has its own queue
        return len(self.running) < 2 * self.options.n_threads  # one waiting task per worker

    def _submit(self, places: tuple[int, ...], provenance: dict[str, Any]) -> Future[Any]:
        with keys.encoding_once(self.encoded):
            calls = tuple(with_description(self.calls[place], self._code(place)) for place in places)
        keep = self.keep if isinstance(calls[0].function, Cachable) else None
        task = Task(calls, keep, self.options.retry, self.options.lint, provenance)
        if isinstance(self.executor, InProcess):
            return self.executor.submit(compute, task, self.copier)
        try:
            payload, needed = self.shared.dumps(task.to_send())
        except Exception as error:
            unsent: Future[Any] = Future()
            if len(places) > 1:  # tried alone, each shows whether it was the one
                unsent.set_result([Result(Outcome.ALONE)] * len(places))
            else:
                unsent.set_exception(error)
            return unsent
        if isinstance(self.executor, LocalExecutor):
            return self.executor.submit_sharing(self.shared, needed, compute_pickled, payload)
        return self.executor.submit(compute_pickled, payload)

    def _collect(self, pending: deque[tuple[int, ...]]) -> Iterator[tuple[int, Result]]:
        if not self.running:
            if (self.elsewhere or self.again) and not pending:
                time.sleep(POLL_INTERVAL)
            return
        is_waiting = bool(self.elsewhere or self.again)
        timeout = POLL_INTERVAL if is_waiting else 1.0  # bounded: a stop may be requested meanwhile
        for future in wait(self.running, timeout, FIRST_COMPLETED).done:
            places = self.running.pop(future)
            for place, result in zip(places, self._results_of(future, places), strict=True):
                if result.outcome is Outcome.ALONE:
                    pending.appendleft((place,))
                elif result.outcome is Outcome.BUSY:
                    self.elsewhere[place] = time.monotonic() + POLL_INTERVAL, POLL_INTERVAL
                elif self._tries_again(place, result):
                    continue
                elif result.outcome is not Outcome.STOPPED or not self.stop.count:
                    self.n_failed += result.outcome in (Outcome.FAILED, Outcome.REFUSED)
                    self.full = self.full or (result.error if result.fatal else "")
                    if result.is_unstorable:
                        count, _ = self.unstorable.get(self.calls[place].name, (0, ""))
                        self.unstorable[self.calls[place].name] = count + 1, result.error
                    yield self._finish(place, result)

    def _tries_again(self, place: int, result: Result) -> bool:
        """Whether a call is made again, for which its failure is not recorded; if so, it waits for that."""
        number = self.attempts.get(place, 0)
        may_help = result.outcome is Outcome.REFUSED and not (result.fatal or result.is_unstorable)
        if not may_help or number >= self.options.retries or self.stop.count:
            return False
        self.attempts[place] = number + 1
        self.again[place] = time.monotonic() + RETRY_AFTER * 2**number
        return True

    def _due(self) -> list[int]:
        """Return the places whose next attempt begins now."""
        due = [place for place, when in self.again.items() if time.monotonic() >= when]
        for place in due:
            del self.again[place]
        return due

    def _has_failed_enough(self) -> bool:
        most = self.options.max_failures
        return most is not None and self.n_failed >= most

    def _finish(self, place: int, result: Result) -> tuple[int, Result]:
        self.n_finished += 1
        self.display.finished(self.calls[place].id, self.labels[place], result.outcome)
        return place, result

    def _results_of(self, future: Future[Any], places: tuple[int, ...]) -> Sequence[Result]:
        """Return the results of a task, one per place; `ALONE` for those that have to be tried alone."""
        try:
            return future.result()
        except (CancelledError, Interrupted) as error:
            stopped = Result(Outcome.STOPPED, error=self._why_not(places[0]) or str(error))
            return [Result(Outcome.DONE) if self._is_stored(place) else stopped for place in places]
        except WorkerDied as death:
            return self._results_of_dead(places, death)
        except Exception as error:  # the executor is broken, or cannot import what the task needs
            text = "".join(traceback.format_exception_only(error)).strip()
            return [Result(Outcome.REFUSED, error=text, exception=error)] * len(places)

    def _results_of_dead(self, places: Sequence[int], death: WorkerDied) -> Sequence[Result]:
        if self.stop.count:
            return [Result(Outcome.STOPPED)] * len(places)
        if len(places) > 1:  # one of them killed the process; tried alone, each shows whether it was the one
            return [Result(Outcome.ALONE)] * len(places)
        call = replace(self.calls[places[0]], code=self._code(places[0]))
        if self.keep is None or not isinstance(call.function, Cachable):
            return [Result(Outcome.REFUSED, error=f"the worker process {death.reason}")]
        return [record_death(Task((call,), self.keep, provenance=circumstances()), death.reason)]

    def _is_stored(self, place: int) -> bool:
        """Whether a call was stopped after its result was stored, before it could say so."""
        call = self.calls[place]
        if self.keep is None or not isinstance(call.function, Cachable) or call.replaces is not None:
            return False
        return self.keep.has(call.name, call.id)

    def _code(self, place: int) -> Code | None:
        """Return the code that is behind a call here, to be compared where it is made."""
        call = self.calls[place]
        if self.keep is None or not isinstance(call.function, Cachable):
            return None
        return self.codes.of(call.function, call.arguments)

    def _poll_elsewhere(self) -> list[int]:
        """Return the places that another process no longer computes; the store has their results, if any."""
        assert self.keep is not None or not self.elsewhere
        ended = []
        for place, (when, interval) in list(self.elsewhere.items()):
            if self.keep is None or time.monotonic() < when:
                continue
            call = self.calls[place]
            if claims.is_claimed(self.keep, call.name, call.id):
                longer = min(1.5 * interval, MAX_POLL_INTERVAL)
                self.elsewhere[place] = time.monotonic() + longer, longer
            else:
                del self.elsewhere[place]
                ended.append(place)
        return ended

    def _why_not(self, place: int) -> str:
        """Return why a call is not made any more, nothing if it is."""
        name = self.calls[place].name
        count, error = self.unstorable.get(name, (0, ""))
        if not self.full and count >= MAX_UNSTORABLE:
            return f"not computed, since results of {name} cannot be stored: {error}"
        if not self.full and self._has_failed_enough():
            return f"not computed, since {self.n_failed} points have failed (max_failures)"
        return self.full

    def _give_up(self, pending: deque[tuple[int, ...]]) -> Iterator[tuple[int, Result]]:
        """Refuse what is not under way and could not be stored."""
        left = [place for places in pending for place in places if self._why_not(place)]
        left += [place for place in (*self.elsewhere, *self.again) if self._why_not(place)]
        kept = [places for places in pending if not self._why_not(places[0])]
        pending.clear()
        pending.extend(kept)
        for future, places in self.running.items():
            if self._why_not(places[0]):
                future.cancel()
        for place in left:
            self.elsewhere.pop(place, None)
            self.again.pop(place, None)
            yield self._finish(place, Result(Outcome.REFUSED, error=self._why_not(place)))
