"""Stopping a run: the first Ctrl-C or SIGTERM asks for checkpoints, the second one ends everything."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any

from datajuicer.running.progress import Progress
from datajuicer.workers.job import Link
from datajuicer.workers.local import InProcess, Stoppable


class Stop:
    """The signals of one run; `count` is how many have come."""

    def __init__(self) -> None:
        self.count = 0
        self.can_stop = True  # whether the function that runs in this process polls `requested`

    def requested(self) -> bool:
        """Return whether a stop was requested."""
        return self.count > 0

    def link(self, display: Progress) -> Link:
        """Return the link of a function that runs in this process."""

        def started(name: str, keys: tuple[str, ...], can_stop: bool) -> None:
            self.can_stop = can_stop
            display.event(0, "started", name, keys)

        return Link(partial(display.event, 0, "progress"), self.requested, started=started)

    @contextmanager
    def handling(self, executor: Executor) -> Iterator[None]:
        """Handle signals while the body runs."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread receives signals
            return

        def handle(number: int, frame: Any) -> None:
            self.count += 1
            in_process = isinstance(executor, InProcess)
            if self.count > 1 or (in_process and not self.can_stop):
                raise KeyboardInterrupt
            if isinstance(executor, Stoppable):
                # in a thread: a signal may come while this one holds the lock of a pipe
                threading.Thread(target=executor.request_stop, daemon=True).start()
            print("stopping after the next checkpoint; once more to stop at once", file=sys.stderr)

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)
