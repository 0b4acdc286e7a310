"""A worker process: `python -m datajuicer.workers.worker <read> <write> <processors>`.

It reads tasks from one pipe and writes answers to another; its own standard output stays free for what the
functions print, which goes to the log of the point while one is computed. When the parent is gone it stops.
"""

from __future__ import annotations

import errno
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, BinaryIO

from datajuicer.workers.frames import STOPPED, receive, send
from datajuicer.workers.job import LINK, Link
from datajuicer.workers.shared import RECEIVED

PROGRESS_EVERY = 0.1  # seconds; a function may report every step
ORPHAN_GRACE = 60.0  # seconds for a last checkpoint after the parent died


class Worker:
    """One worker: the main thread computes, another one listens."""

    def __init__(self, read: BinaryIO, write: BinaryIO):
        self.read = read
        self.write = write
        self.writing = threading.Lock()
        self.tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.can_stop = (
            True  # whether what runs now asks for `stop`; if not, there is no checkpoint to wait for
        )
        self.reported = 0.0

    def main(self) -> None:
        """Serve until told to end."""
        setup = receive(self.read)
        sys.path[:] = setup["path"]
        sys.argv[:] = setup["argv"]
        # functions of the parent's __main__ come by value; they must have the same name here as there
        sys.modules["__main__"].__spec__ = ModuleSpec(setup["main"], None)
        LINK.set(Link(self.progress, self.stop.is_set, log_to, self.started))
        threading.Thread(target=self.listen, daemon=True).start()
        while (message := self.tasks.get()) is not None:
            kind, content = message
            if kind == "shared":
                RECEIVED.add(*content)
                continue
            self.can_stop = True
            self.tell("result", *run(content))

    def listen(self) -> None:
        """Take messages while the main thread computes."""
        while True:
            try:
                kind, payload = receive(self.read)
            except (EOFError, OSError):
                self.request_stop()
                self.tasks.put(None)
                time.sleep(ORPHAN_GRACE)
                os._exit(1)
            if kind == "stop":
                self.request_stop()
            else:
                self.tasks.put((kind, payload))

    def request_stop(self, *_: Any) -> None:
        """Ask the running function for a checkpoint; one that cannot be asked has none, so it ends here."""
        self.stop.set()
        if not self.can_stop:
            os._exit(STOPPED)

    def started(self, name: str, keys: tuple[str, ...], can_stop: bool) -> None:
        """The running task reports what it computes."""
        self.can_stop = can_stop
        self.tell("started", name, keys)
        if self.stop.is_set():
            self.request_stop()

    def progress(self, key: str, done: int, total: int, text: str) -> None:
        """The running function reports how far it is."""
        now = time.monotonic()
        if now - self.reported >= PROGRESS_EVERY or done >= total:
            self.reported = now
            self.tell("progress", key, int(done), int(total), str(text))

    def tell(self, *message: Any) -> None:
        """Send one message to the parent, which may be gone."""
        try:
            with self.writing:
                send(self.write, message)
        except OSError:
            pass  # nobody listens any more; what is finished lies in the store


def run(payload: bytes) -> tuple[bool, bytes]:
    """Whether the call worked, and its pickled value or the exception."""
    import cloudpickle

    try:
        function, args, kwargs = pickle.loads(payload)
        return True, cloudpickle.dumps(function(*args, **kwargs))
    except BaseException as error:
        try:
            return False, cloudpickle.dumps(error)
        except Exception:
            return False, cloudpickle.dumps(RuntimeError("".join(traceback.format_exception(error))))


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Send standard output and error of this process, C code and its last words included, to a file."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    log = _open_log(path)
    kept = os.dup(1), os.dup(2)
    try:
        os.write(log, time.strftime("--- %Y-%m-%d %H:%M:%S ---\n").encode())
        os.dup2(log, 1)
        os.dup2(log, 2)
        with logging_info():
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(log)


def _open_log(path: Path) -> int:
    # not through a link, which somebody may have put there to have another file written to
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(error.errno, "it is a link; remove it", str(path)) from None


@contextmanager
def logging_info() -> Iterator[None]:
    """Write logged messages from INFO on to standard error, unless the function configures logging itself."""
    root, last = logging.getLogger(), logging.lastResort
    if last is None or root.handlers or root.level != logging.WARNING:
        yield
        return
    kept = last.level, last.formatter
    last.setLevel(logging.INFO)
    last.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        last.setLevel(kept[0])
        last.setFormatter(kept[1])
        if root.level == logging.INFO:
            root.setLevel(logging.WARNING)


def main() -> None:
    """Start from the command line."""
    read, write, processors = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(p) for p in processors.split(",")])
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    import faulthandler

    faulthandler.enable()  # a segmentation fault leaves its stack in the log
    worker = Worker(os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to everybody; the parent decides
    for name in ("SIGUSR1", "SIGUSR2"):  # schedulers send these to everybody before the wall time is over
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.request_stop)
    worker.main()


if __name__ == "__main__":
    main()
