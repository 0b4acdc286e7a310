"""The state of a run: what each worker does, what is through, and how long the rest will take.

The first step of a function is often slow, as it compiles, so time is counted from the first report beyond
where it started: a remaining time is shown from the report after that on. Points of one kind (function and
program) are taken to last alike; a run has a remaining time once every kind that is left has one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEASURED = 1.0  # seconds of steps after the first report that a remaining time is made of at least


@dataclass
class Line:
    """What one worker does."""

    since: float
    what: str = ""
    keys: set[str] = field(default_factory=set)  # what is not through yet
    n_points: int = 1
    done: int = 0
    total: int = 0
    text: str = ""
    start: int | None = None  # what was done at the first report
    first: tuple[float, int] | None = None  # when the first report beyond that came, and what it said

    def report(self, now: float, done: int, total: int, text: str) -> None:
        """Take in a report of progress; one without a total only says what is going on."""
        self.done, self.total, self.text = done, total, text
        if not total:
            return
        if self.start is None:
            self.start = done
        elif self.first is None and done > self.start:
            self.first = now, done

    def seconds_left(self) -> float | None:
        """The time until it is through, by the steps since the first report; None if nothing is known."""
        if self.first is None or not self.total:
            return None
        began, before = self.first
        spent = time.monotonic() - began
        if self.done <= before or spent < MEASURED:
            return None
        return spent * (self.total - self.done) / (self.done - before)

    def left(self) -> str:
        """The remaining time in words; nothing if it is not known."""
        seconds = self.seconds_left()
        return "" if seconds is None else duration(seconds)

    def share(self) -> float:
        """How much of its points is done, in points."""
        return len(self.keys) * self.done / self.total if self.total else 0.0


class Board:
    """The state of a run: one line a worker, and totals."""

    def __init__(
        self,
        total: int,
        names: Mapping[str, str],
        kinds: Mapping[str, str] | None = None,
        n_workers: int = 1,
    ):
        self.total = total
        self.names = names
        self.kinds = kinds or {}
        self.n_workers = n_workers
        self.lines: dict[int, Line] = {}
        self.counts: Counter[str] = Counter()
        self.spent: dict[str, list[float]] = {}  # seconds of the points of each kind that are through
        self.waiting = Counter(self.kinds.values())  # points of each kind that have not begun
        self.start = self.last = time.monotonic()  # of the run; of the last point that was through
        self.lock = threading.RLock()

    @property
    def through(self) -> int:
        """How many points are through."""
        return sum(self.counts.values())

    def event(self, worker: int, kind: str, *content: Any) -> Line:
        """Take in what a worker said."""
        now = time.monotonic()
        with self.lock:
            if kind == "started":
                name, keys = str(content[0]), content[1]
                what = (
                    self.names.get(keys[0], name) if len(keys) == 1 else f"{name}, {len(keys)} points at once"
                )
                self.lines[worker] = Line(now, what, set(keys), len(keys))
                self.waiting -= Counter(self.kinds[key] for key in keys if key in self.kinds)
            line = self.lines.setdefault(worker, Line(now))
            if kind == "progress":
                _, done, total, text = content
                line.report(now, done, total, text)
            return line

    def finished(self, key: str, status: str) -> None:
        """Count a point that is through; a worker with nothing left has no line."""
        now = time.monotonic()
        with self.lock:
            kind = self.kinds.get(key, "")
            spent = now - self.last  # of a point whose beginning was not seen
            has_begun = False
            for worker, line in list(self.lines.items()):
                if key in line.keys:
                    has_begun, spent = True, (now - line.since) / line.n_points
                    line.keys.discard(key)
                if not line.keys:
                    del self.lines[worker]
            if not has_begun:
                self.waiting -= Counter([kind])
            self.spent.setdefault(kind, []).append(spent)
            self.counts[status] += 1
            self.last = now

    def seconds_left(self) -> float | None:
        """The time until the run is over; None while a kind of point that is left has no time."""
        with self.lock:  # each worker reports from its own thread
            return self._seconds_left()

    def _seconds_left(self) -> float | None:
        n_running = sum(len(line.keys) for line in self.lines.values())
        if self.through + n_running + self.waiting.total() < self.total:
            return None  # points of no kind
        running = [line.seconds_left() for line in self.lines.values()]
        rest = sum(seconds for seconds in running if seconds is not None)
        for line, seconds in zip(self.lines.values(), running, strict=True):
            if seconds is None:
                usual = self._usual(next((self.kinds.get(key, "") for key in line.keys), ""))
                if usual is None:
                    return None
                rest += max(0.0, usual * line.n_points - (time.monotonic() - line.since))
        for kind, count in self.waiting.items():
            if (usual := self._usual(kind)) is None:
                return None
            rest += count * usual
        n_busy = max(1, min(self.n_workers, len(self.lines) + self.waiting.total()))
        return rest / n_busy

    def _usual(self, kind: str) -> float | None:
        """The mean time of a point of a kind."""
        spent = self.spent.get(kind)
        return sum(spent) / len(spent) if spent else None

    def summary(self) -> str:
        """The totals in one line."""
        said = ", ".join(
            f"{count} {status}" for status, count in sorted(self.counts.items()) if status != "done"
        )
        seconds = self.seconds_left() if self.through < self.total else None
        left = "" if seconds is None or seconds < 1 or not self.through else f", {duration(seconds)} left"
        spent = duration(time.monotonic() - self.start)
        return f"{self.through}/{self.total}{' (' + said + ')' if said else ''} in {spent}{left}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
