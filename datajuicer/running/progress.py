"""What a person sees while a run computes: live lines on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

PLAIN_EVERY = 30.0  # seconds before the first line about points that take long; twice as many before the next
PLAIN_LINES = 20  # lines of a run about points that are through
PLAIN_FAILED = 10  # and further ones about points that are not done, such as failed ones


class Progress(Protocol):
    """What `run` tells."""

    def event(self, worker: int, kind: str, *content: Any) -> None:
        """A worker started something ("started", name, keys) or got on ("progress", key, done, total,
        text).
        """

    def finished(self, key: str, what: str, status: str) -> None:
        """A point is through."""

    def close(self) -> None:
        """The run is over."""


class Silent:
    """Says nothing."""

    def event(self, worker: int, kind: str, *content: Any) -> None:
        """Ignore it."""

    def finished(self, key: str, what: str, status: str) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class _Line:
    """What one worker does."""

    since: float
    what: str = ""
    keys: set[str] = field(default_factory=set)  # what is not through yet
    done: int = 0
    total: int = 0
    text: str = ""

    def left(self) -> str:
        if not self.done or not self.total:
            return ""
        return duration((time.monotonic() - self.since) * (self.total - self.done) / self.done)


class Board:
    """The state of a run: one line a worker, and totals."""

    def __init__(self, total: int, names: dict[str, str]):
        self.total = total
        self.names = names
        self.lines: dict[int, _Line] = {}
        self.counts: dict[str, int] = {}
        self.start = time.monotonic()
        self.lock = threading.Lock()

    def event(self, worker: int, kind: str, *content: Any) -> _Line:
        """Take in what a worker said."""
        now = time.monotonic()
        with self.lock:
            if kind == "started":
                name, keys = str(content[0]), content[1]
                what = (
                    self.names.get(keys[0], name) if len(keys) == 1 else f"{name}, {len(keys)} points at once"
                )
                self.lines[worker] = _Line(now, what, set(keys))
            line = self.lines.setdefault(worker, _Line(now))
            if kind == "progress":
                _, line.done, line.total, line.text = content
            return line

    def finished(self, key: str, status: str) -> None:
        """Count a point that is through; a worker with nothing left has no line."""
        with self.lock:
            for worker, line in list(self.lines.items()):
                line.keys.discard(key)
                if not line.keys:
                    del self.lines[worker]
            self.counts[status] = self.counts.get(status, 0) + 1

    def summary(self) -> str:
        """The totals in one line."""
        through = sum(self.counts.values())
        said = ", ".join(
            f"{count} {status}" for status, count in sorted(self.counts.items()) if status != "done"
        )
        spent = time.monotonic() - self.start
        left = (
            f", {duration(spent * (self.total - through) / through)} left" if 0 < through < self.total else ""
        )
        return f"{through}/{self.total}{' (' + said + ')' if said else ''} in {duration(spent)}{left}"


class Plain:
    """At most `PLAIN_LINES` lines about points that are through, `PLAIN_FAILED` more about those that failed.

    And one now and then, at growing intervals, for points that take long.
    """

    def __init__(self, board: Board):
        self.board = board
        self.told = 0  # points that were through at the last line
        self.failed = 0
        self.every = PLAIN_EVERY
        self.said = 0.0  # when the last line about a point that takes long was written

    def event(self, worker: int, kind: str, *content: Any) -> None:
        """Say how far a worker is, now and then."""
        line = self.board.event(worker, kind, *content)
        now = time.monotonic()
        if kind == "progress" and now - max(line.since, self.said) > self.every:
            self.said = now
            self.every *= 2
            left = f", {line.left()} left" if line.left() else ""
            _say(f"{line.what}: {line.done}/{line.total} {line.text}{left}")

    def finished(self, key: str, what: str, status: str) -> None:
        """Say that a point is through, if it is one of those that are told."""
        self.board.finished(key, status)
        through, total = sum(self.board.counts.values()), self.board.total
        is_told = through == total or through * PLAIN_LINES // total > self.told * PLAIN_LINES // total
        if status != "done" and not is_told:
            self.failed += 1
            if self.failed <= PLAIN_FAILED:
                _say(f"{status}: {what}")
        elif is_told:
            self.told = through
            _say(f"{status}: {what}  [{self.board.summary()}]")

    def close(self) -> None:
        """Nothing to end."""


class Live:
    """Lines that are drawn over again, by rich; only a run that takes longer than a moment is worth them."""

    def __init__(self, board: Board):
        self.board = board
        self.live: Any = None
        self.timer = threading.Timer(1.0, self.start)
        self.timer.daemon = True
        self.timer.start()

    def start(self) -> None:
        """Begin to draw."""
        from rich.console import Console
        from rich.live import Live as RichLive

        live = RichLive(
            get_renderable=self.table,
            console=Console(stderr=True),
            refresh_per_second=4,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # what goes to a file must stay there
        )
        live.start()
        self.live = live

    def table(self) -> Any:
        """The lines as they stand now."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table as RichTable

        table = RichTable.grid(padding=(0, 1))
        with self.board.lock:
            for worker, line in sorted(self.board.lines.items()):
                bar = ProgressBar(line.total or 1, line.done, width=20) if line.total else ""
                steps = f"{line.done}/{line.total}" if line.total else ""
                left = f"{line.left()} left" if line.left() else duration(time.monotonic() - line.since)
                table.add_row(str(worker + 1), line.what, bar, steps, left, line.text)
            table.add_row("", self.board.summary())
        return table

    def event(self, worker: int, kind: str, *content: Any) -> None:
        """The next drawing shows it."""
        self.board.event(worker, kind, *content)

    def finished(self, key: str, what: str, status: str) -> None:
        """Count it; what did not work is said above the live lines."""
        self.board.finished(key, status)
        if status != "done" and self.live is not None:
            self.live.console.print(f"{status}: {what}", highlight=False, markup=False)

    def close(self) -> None:
        """Leave the totals behind."""
        self.timer.cancel()
        if self.live is not None:
            self.live.stop()
            self.live.console.print(self.board.summary(), highlight=False)


def make_progress(wanted: bool | None, points: Iterable[tuple[str, str]]) -> Progress:
    """The display that fits: `wanted` False is silent, None and True choose by whether a person watches."""
    names = dict(points)
    if wanted is False or not names:
        return Silent()
    board = Board(len(names), names)
    return Live(board) if sys.stderr.isatty() else Plain(board)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
