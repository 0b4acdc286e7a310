"""What a person sees of a run: a bar in a notebook, live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from datajuicer.running.board import Board, duration

PLAIN_EVERY = 30.0  # seconds before the first line about points that take long; twice as many before the next
PLAIN_LINES = 20  # lines of a run about points that are through
PLAIN_FAILED = 10  # and further ones about points that are not done, such as failed ones
NOTEBOOK_EVERY = 0.5  # seconds between two drawings in a notebook


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
        through, total = self.board.through, self.board.total
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


class Notebook:
    """One bar below the cell, drawn over again; it stays when the run is over."""

    def __init__(self, board: Board):
        self.board = board
        self.handle: Any = None
        self.drawn = time.monotonic()
        self.lock = threading.Lock()

    def event(self, worker: int, kind: str, *content: Any) -> None:
        """Draw the bar, now and then."""
        self.board.event(worker, kind, *content)
        self._draw_sometimes()

    def finished(self, key: str, what: str, status: str) -> None:
        """Count it."""
        self.board.finished(key, status)
        self._draw_sometimes()

    def close(self) -> None:
        """Draw the bar as it stays."""
        if self.handle is not None:
            self._draw()

    def _draw_sometimes(self) -> None:
        if time.monotonic() - self.drawn > NOTEBOOK_EVERY:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        with self.lock:
            self.drawn = time.monotonic()
            bar = HTML(self.html())
            if self.handle is None:
                self.handle = display(bar, display_id=True)
            else:
                self.handle.update(bar)

    def html(self) -> str:
        """The bar and the totals, and what a lone worker does."""
        from html import escape

        with self.board.lock:
            lines = [f"{line.what} {line.text}".strip() for line in self.board.lines.values()]
            text = " · ".join([self.board.summary(), *lines[:1]])
            value = self.board.through + sum(line.share() for line in self.board.lines.values())
        return (
            f'<progress value="{value:.3f}" max="{self.board.total}" style="width: 20em"></progress> '
            f"{escape(text)}"
        )


class Told(NamedTuple):
    """A point as the display shows it: its key, its label, and the kind that shares its duration."""

    key: str
    label: str
    kind: str


def make_progress(wanted: bool | None, points: Sequence[Told], n_workers: int = 1) -> Progress:
    """The display that fits: `wanted` False is silent, None and True choose by whether a person watches."""
    if wanted is False or not points:
        return Silent()
    names = {point.key: point.label for point in points}
    board = Board(len(names), names, {point.key: point.kind for point in points}, n_workers)
    if in_notebook():
        return Notebook(board)
    return Live(board) if sys.stderr.isatty() else Plain(board)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
