"""Executors on this machine: the process itself, and worker processes that are started once and reused."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import datajuicer
from datajuicer.errors import Interrupted, WorkerDied
from datajuicer.keys import module_name
from datajuicer.workers.frames import STOPPED, receive, send
from datajuicer.workers.job import LINK, Link
from datajuicer.workers.shared import SharedObjects

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

Event = Callable[..., None]


@runtime_checkable
class Stoppable(Protocol):
    """What an executor can do besides computing: pass on a request to stop."""

    def request_stop(self) -> None:
        """Ask what runs for a checkpoint; what is queued is not begun."""
        ...

    def kill(self) -> None:
        """End what runs now."""
        ...


class InProcess(Executor):
    """Runs every task at once, in this process and thread."""

    def __init__(self, link: Link):
        self.link = link

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the task now; the future that comes back is finished."""
        future: Future[Any] = Future()
        token = LINK.set(self.link)
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        finally:
            LINK.reset(token)
        return future


@dataclass
class _Slot:
    """A slot for a worker process; a new process takes it when the old one has died."""

    number: int
    processors: list[int]
    process: subprocess.Popen[bytes] | None = None
    read: Any = None
    write: Any = None
    writing: threading.Lock = field(default_factory=threading.Lock)
    sent: set[str] = field(default_factory=set)  # names of shared objects that the process has

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        with self.writing:
            for pipe in (self.read, self.write):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            self.read = self.write = None


class _Limit:
    """Ends a process whose computation takes too long; the time counts from when the computation begins."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float | None):
        self.process = process
        self.seconds = seconds
        self.passed = False
        self.timer: threading.Timer | None = None

    def begin(self) -> None:
        """The computation begins, perhaps after another one of the same task."""
        self.lift()
        if self.seconds is not None:
            self.timer = threading.Timer(self.seconds, self.end)
            self.timer.daemon = True
            self.timer.start()

    def end(self) -> None:
        """The time has passed."""
        self.passed = True
        _kill(self.process)

    def lift(self) -> None:
        """The computation is through."""
        if self.timer is not None:
            self.timer.cancel()

    def message(self) -> str:
        """Return how the process ended, if the time has passed."""
        return (
            f"was killed: it was not ready within its time limit of {self.seconds:g} s" if self.passed else ""
        )


class LocalExecutor(Executor):
    """Worker processes on this machine, started fresh (never forked), reused, each with its share of the
    processors.

    A task whose process dies gives `WorkerDied` with the signal's name; the others go on.

    Args:
        workers: how many processes.
        on_event: told what the workers report.
        time_limit: seconds of computing after which a task's process is ended; None: as long as it takes.
        main: the name of the `__main__` whose functions come by value; default: this process's.
        threads: threads of numerical libraries in each worker; default: one for each of its processors.
    """

    def __init__(
        self,
        workers: int,
        on_event: Event | None = None,
        *,
        time_limit: float | None = None,
        main: str | None = None,
        threads: int | None = None,
    ):
        self.threads = threads
        self.on_event = on_event or (lambda *_: None)
        self.time_limit = time_limit
        self.main = module_name("__main__") if main is None else main
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._slots = [_Slot(i, share) for i, share in enumerate(shares(workers))]
        self._closed = False
        self._stopping = False
        self._threads = [threading.Thread(target=self._serve, args=[s], daemon=True) for s in self._slots]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a task; functions of __main__ and of notebooks travel by value."""
        import cloudpickle

        if self._closed:
            raise RuntimeError("the executor is shut down")
        future: Future[Any] = Future()
        self._queue.put((future, cloudpickle.dumps((fn, args, kwargs)), None, ()))
        return future

    def submit_sharing(
        self, shared: SharedObjects, needed: Iterable[str], fn: Callable[..., Any], /, *args: Any
    ) -> Future[Any]:
        """Queue a task that needs shared objects; a worker gets each of them once."""
        import cloudpickle

        if self._closed:
            raise RuntimeError("the executor is shut down")
        future: Future[Any] = Future()
        self._queue.put((future, cloudpickle.dumps((fn, args, {})), shared, needed))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers after what is queued."""
        self._closed = True
        if cancel_futures:
            with suppress(queue.Empty):
                while True:
                    if (waiting := self._queue.get_nowait()) is not None:
                        waiting[0].cancel()
        for _ in self._threads:
            self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def request_stop(self) -> None:
        """Ask every worker to write a checkpoint and stop; what is queued is not begun."""
        self._stopping = True
        for slot in self._slots:
            self._tell(slot, ("stop", None))

    def kill(self) -> None:
        """End every worker now."""
        self._stopping = True
        for slot in self._slots:
            if (process := slot.process) is not None:
                _kill(process)

    def _serve(self, slot: _Slot) -> None:
        while (waiting := self._queue.get()) is not None:
            future, payload, shared, needed = waiting
            if self._stopping:
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    worked, answer = self._ask(slot, payload, shared, needed)
                    if worked:
                        future.set_result(pickle.loads(answer))
                    else:
                        future.set_exception(pickle.loads(answer))
                except BaseException as error:
                    future.set_exception(error)
        if slot.process is not None:
            slot.write.close()
            slot.process.wait()
            slot.read.close()

    def _ask(
        self, slot: _Slot, payload: bytes, shared: SharedObjects | None, needed: Iterable[str]
    ) -> tuple[bool, bytes]:
        if slot.process is None or slot.process.poll() is not None:
            self._start(slot)
        assert slot.process is not None
        for name in needed:
            if shared is not None and name not in slot.sent:
                self._tell(slot, ("shared", (name, shared.blobs[name])))
                slot.sent.add(name)
        self._tell(slot, ("task", payload))
        if self._stopping:  # asked for while this worker was started, which may not have heard it
            self._tell(slot, ("stop", None))
        limit = _Limit(slot.process, self.time_limit)
        try:
            return self._answer(slot, limit)
        finally:
            limit.lift()

    def _answer(self, slot: _Slot, limit: _Limit) -> tuple[bool, bytes]:
        assert slot.process is not None
        while True:
            try:
                kind, *content = receive(slot.read)
            except (EOFError, OSError):
                status = slot.process.wait()
                slot.process = None
                slot.close()
                if status == STOPPED:
                    raise Interrupted("the worker process was asked to stop") from None
                raise WorkerDied(limit.message() or describe_exit(status)) from None
            if kind == "result":
                return content[0], content[1]
            if kind == "started":
                limit.begin()
            self.on_event(slot.number, kind, *content)

    def _start(self, slot: _Slot) -> None:
        slot.close()
        their_read, our_write = os.pipe()
        our_read, their_write = os.pipe()
        processors = ",".join(map(str, slot.processors))
        command = [
            sys.executable,
            "-P",  # not from the working directory: from where this process has it
            "-m",
            "datajuicer.workers.worker",
            str(their_read),
            str(their_write),
            processors,
        ]
        slot.sent = set()
        slot.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(their_read, their_write),
            env=environment(self.threads or len(slot.processors)),
            start_new_session=True,  # Ctrl-C in the terminal is for us alone; we pass it on
        )
        os.close(their_read)
        os.close(their_write)
        slot.read, slot.write = os.fdopen(our_read, "rb", buffering=0), os.fdopen(our_write, "wb")
        with slot.writing:
            send(slot.write, {"path": sys.path, "argv": sys.argv, "main": self.main})

    def _tell(self, slot: _Slot, message: Any) -> None:
        with (
            slot.writing,
            suppress(OSError, ValueError),
        ):  # a worker that is gone is noticed when its answer is read
            if slot.write is not None:
                send(slot.write, message)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker with the processes that it started, which hold its pipes and would be waited for."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def shares(workers: int) -> list[list[int]]:
    """The processors of this process shared out evenly; nothing to share where the system cannot pin
    processes.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(workers)]
    ours = sorted(os.sched_getaffinity(0))
    if workers > len(ours):
        return [[ours[i % len(ours)]] for i in range(workers)]
    return [ours[i * len(ours) // workers : (i + 1) * len(ours) // workers] for i in range(workers)]


def environment(processors: int) -> dict[str, str]:
    """The environment of a worker: it finds datajuicer, and its libraries start as many threads as it has
    processors.
    """
    ours = dict(os.environ)
    home = str(Path(datajuicer.__file__).resolve().parents[1])
    ours["PYTHONPATH"] = os.pathsep.join(p for p in (home, ours.get("PYTHONPATH")) if p)
    if processors:
        for name in THREAD_SETTINGS:
            ours.setdefault(name, str(processors))
    return ours


def describe_exit(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
