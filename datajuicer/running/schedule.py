"""The schedule of a run: tasks go to an executor as places become free, until every point is through or given
up.

Only the contract of `concurrent.futures.Executor` is spoken here; the two executors of this package
additionally pass on a request to stop.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from datajuicer.errors import Interrupted, WorkerDied
from datajuicer.running.cachable import Cachable
from datajuicer.running.compute import Outcome, Task, Work, compute, compute_pickled, record_death
from datajuicer.running.plan import Item, brief, telling_keys
from datajuicer.running.progress import Progress, make_progress
from datajuicer.store import claims
from datajuicer.store.store import Store
from datajuicer.workers.job import Link
from datajuicer.workers.local import InProcess, LocalExecutor

LOOK_AGAIN = 0.2  # seconds between two looks at what another process computes

PACKAGES = ("numpy", "jax", "jaxlib", "flax", "optax", "torch", "scipy")


@dataclass(frozen=True)
class Order:
    """How the user wants the points computed; see `run`."""

    n_threads: int = 1
    executor: Executor | None = None
    batch: int = 1
    progress: bool | None = None
    lint: bool = False
    retry: bool = False
    time_limit: float | None = None


def compute_all(
    keep: Store | None, items: Sequence[Item], works: Sequence[Work], order: Order
) -> Generator[tuple[int, Outcome]]:
    """Compute everything and yield place and outcome as they come.

    Raises:
        Interrupted: on Ctrl-C, after what runs has written its checkpoints.
    """
    if keep is not None and any(isinstance(item.function, Cachable) for item in items):
        keep.check_writable()
    if sys.stderr.isatty() or order.executor is not None or order.n_threads > 1 or order.progress:
        wanted = order.progress
    else:
        wanted = False  # in one process and without a terminal, what the functions print is progress enough
    telling = telling_keys([item.point for item in items])
    names = [f"{item.name} {brief(item.point, 80, telling)}".strip() for item in items]
    display = make_progress(wanted, zip([work.key for work in works], names, strict=True))
    stop = _Stop()
    executor, ours = order.executor, False
    if executor is None:
        ours = True
        if order.n_threads > 1 or order.time_limit is not None:
            workers = min(order.n_threads, len(items))
            executor = LocalExecutor(workers, display.event, time_limit=order.time_limit)
        else:
            executor = InProcess(stop.link(display))
    schedule = _Schedule(keep, items, works, names, order, executor, display, stop)
    try:
        with stop.listening(executor):
            yield from schedule.outcomes()
    except BaseException as error:
        if isinstance(executor, LocalExecutor):
            executor.kill()
        if isinstance(error, KeyboardInterrupt) and stop.count:
            raise schedule.interrupted() from None
        raise
    finally:
        display.close()
        if ours:
            executor.shutdown(cancel_futures=True)
    if stop.count:
        raise schedule.interrupted()


class _Stop:
    """Ctrl-C and SIGTERM: the first time asks, the second time ends."""

    def __init__(self) -> None:
        self.count = 0
        self.can_stop = True  # whether what runs in this process now asks for `requested`

    def requested(self) -> bool:
        return self.count > 0

    def link(self, display: Progress) -> Link:
        """How a function that runs in this process is connected."""

        def started(name: str, keys: tuple[str, ...], can_stop: bool) -> None:
            self.can_stop = can_stop
            display.event(0, "started", name, keys)

        return Link(partial(display.event, 0, "progress"), self.requested, started=started)

    @contextmanager
    def listening(self, executor: Executor) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread gets signals
            return

        def asked(number: int, frame: Any) -> None:
            self.count += 1
            in_process = isinstance(executor, InProcess)
            if self.count > 1 or (in_process and not self.can_stop):
                raise KeyboardInterrupt
            if isinstance(executor, LocalExecutor):
                # a signal may come while this thread holds the lock of a pipe
                threading.Thread(target=executor.request_stop, daemon=True).start()
            print("stopping after the next checkpoint; once more to stop at once", file=sys.stderr)

        kept = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in kept.items():
                if handler is not None:
                    signal.signal(number, handler)


@dataclass
class _Schedule:
    keep: Store | None
    items: Sequence[Item]
    works: Sequence[Work]
    names: Sequence[str]
    order: Order
    executor: Executor
    display: Progress
    stop: _Stop
    through: int = 0
    running: dict[Future[Any], tuple[int, ...]] = field(default_factory=dict)
    # what another process computes: when to look again, and after what wait
    elsewhere: dict[int, tuple[float, float]] = field(default_factory=dict)
    full: str = ""  # why the store takes no more

    def interrupted(self) -> Interrupted:
        """What a run that was stopped raises."""
        total = len(self.works)
        return Interrupted(
            f"stopped: {self.through} of {total} points are through; the same run goes on from here"
        )

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        pending = deque(batches(self.items, self.order.batch))
        provenance = _provenance() if self.keep is not None else {}
        while pending or self.running or self.elsewhere:
            if self.stop.count:
                pending.clear()
                self.elsewhere.clear()
                for future in self.running:
                    future.cancel()
            elif self.full:
                yield from self._give_up(pending)
            while pending and self._has_room():
                places = pending.popleft()
                self.running[self._submit(places, provenance)] = places
                if isinstance(self.executor, InProcess):
                    break  # it is computed already: hand it out before the next
            yield from self._collect(pending)
            for place in self._look_elsewhere():
                pending.append((place,))

    def _has_room(self) -> bool:
        if self.order.executor is not None:
            return True  # it has a queue of its own
        return len(self.running) < 2 * self.order.n_threads  # the next one waits at the door of each worker

    def _submit(self, places: tuple[int, ...], provenance: dict[str, Any]) -> Future[Any]:
        item = self.items[places[0]]
        function: Any = item.function
        cached = isinstance(function, Cachable)
        if cached:
            provenance = {**provenance, "code": function.code}
        task = Task(
            item.function,
            item.name,
            tuple(self.works[place] for place in places),
            self.keep if cached else None,
            self.order.retry,
            self.order.lint,
            provenance,
        )
        if isinstance(self.executor, InProcess):
            return self.executor.submit(compute, task)
        import cloudpickle

        try:
            payload = cloudpickle.dumps(task)
        except Exception as error:
            unsent: Future[Any] = Future()
            if len(places) > 1:  # each shows whether it was the one
                unsent.set_result([Outcome("alone")] * len(places))
            else:
                unsent.set_exception(error)
            return unsent
        return self.executor.submit(compute_pickled, payload)

    def _collect(self, pending: deque[tuple[int, ...]]) -> Iterator[tuple[int, Outcome]]:
        timeout = LOOK_AGAIN if self.elsewhere else 1.0  # not for ever: a stop may have been asked for
        if not self.running:
            if self.elsewhere and not pending:
                time.sleep(LOOK_AGAIN)
            return
        for future in wait(self.running, timeout, FIRST_COMPLETED).done:
            places = self.running.pop(future)
            for place, outcome in zip(places, self._results(future, places, pending), strict=True):
                if outcome is None:
                    continue
                if outcome.status == "busy":
                    self.elsewhere[place] = time.monotonic() + LOOK_AGAIN, LOOK_AGAIN
                elif outcome.status != "stopped" or not self.stop.count:
                    self.full = self.full or (outcome.error if outcome.fatal else "")
                    yield self._told(place, outcome)

    def _told(self, place: int, outcome: Outcome) -> tuple[int, Outcome]:
        self.through += 1
        self.display.finished(self.works[place].key, self.names[place], outcome.status)
        return place, outcome

    def _results(  # noqa: PLR0911 - one a way to end
        self, future: Future[Any], places: tuple[int, ...], pending: deque[tuple[int, ...]]
    ) -> Sequence[Outcome | None]:
        """The outcomes of a task; None for a point that has to be tried alone."""
        try:
            outcomes = future.result()
        except (CancelledError, Interrupted) as stopped:
            return [Outcome("stopped", error=str(stopped))] * len(places)
        except WorkerDied as death:
            if self.stop.count:
                return [Outcome("stopped")] * len(places)
            if len(places) > 1:  # one of them killed the process: alone, each shows whether it was the one
                pending.extendleft((place,) for place in reversed(places))
                return [None] * len(places)
            place = next(iter(places))
            if self.keep is None or not isinstance(self.items[place].function, Cachable):
                return [Outcome("refused", error=f"the worker process {death.reason}")]
            task = Task(
                self.items[place].function, self.items[place].name, (), self.keep, provenance=_provenance()
            )
            return [record_death(task, self.works[place], death.reason)]
        except (
            Exception
        ) as error:  # the executor could not run it: it broke, or cannot import what the task needs
            text = "".join(traceback.format_exception_only(error)).strip()
            return [Outcome("refused", error=text, exception=error)] * len(places)
        alone = [outcome.status == "alone" for outcome in outcomes]
        pending.extendleft((p,) for p, again in zip(places, alone, strict=True) if again)
        return [None if again else outcome for outcome, again in zip(outcomes, alone, strict=True)]

    def _look_elsewhere(self) -> list[int]:
        """Places whose computation in another process has ended: the record, or its absence, tells how."""
        assert self.keep is not None or not self.elsewhere
        ended = []
        for place, (when, delay) in list(self.elsewhere.items()):
            if self.keep is None or time.monotonic() < when:
                continue
            if claims.is_claimed(self.keep, self.items[place].name, self.works[place].key):
                longer = min(1.5 * delay, 5.0)
                self.elsewhere[place] = time.monotonic() + longer, longer
            else:
                del self.elsewhere[place]
                ended.append(place)
        return ended

    def _give_up(self, pending: deque[tuple[int, ...]]) -> Iterator[tuple[int, Outcome]]:
        left = [place for places in pending for place in places] + list(self.elsewhere)
        pending.clear()
        self.elsewhere.clear()
        for place in left:
            yield self._told(place, Outcome("refused", error=self.full))


def batches(items: Sequence[Item], size: int) -> Iterator[tuple[int, ...]]:
    """Places that go into one call: up to `size` of one group, everything else alone."""
    groups: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        group = item.group() if size > 1 else None
        groups.setdefault(group or f"alone {place}", []).append(place)
    for places in groups.values():
        for start in range(0, len(places), size):
            yield tuple(places[start : start + size])


def _provenance() -> dict[str, Any]:
    """What a record says about the circumstances; found out once a run."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {"python": platform.python_version()}
    for name in PACKAGES:
        if name in sys.modules:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
    facts: dict[str, Any] = {"packages": packages, "platform": platform.platform()}
    for variable in ("LSB_JOBID", "LSB_JOBINDEX", "SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        if variable in os.environ:
            facts.setdefault("job", {})[variable] = os.environ[variable]
    return facts | _git(str(Path.cwd()), int(time.monotonic() // 60))


@lru_cache(maxsize=1)
def _git(folder: str, minute: int) -> dict[str, Any]:
    """The commit of a folder; asked once a minute, for many short runs in a row."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", "--no-optional-locks", *words],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            cwd=folder,
        )
        return done.stdout.strip()

    try:
        changed = ask("status", "--porcelain", "--untracked-files=no")
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return {}
