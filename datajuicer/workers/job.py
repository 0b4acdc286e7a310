"""The job: what a function learns about the computation it runs in."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store.disk import sync_file, sync_folder
from datajuicer.store.named import member
from datajuicer.store.reading import file_digest
from datajuicer.store.record import Damaged
from datajuicer.store.values import Artifact
from datajuicer.workers import progress_file


def _silent(key: str, done: int, total: int, text: str) -> None:
    pass


def _never() -> bool:
    return False


def _no_log(path: Path | None) -> AbstractContextManager[None]:
    return nullcontext()


def _unseen(name: str, keys: tuple[str, ...], can_stop: bool) -> None:
    pass


@dataclass(frozen=True)
class Link:
    """How a computation is connected to the run that ordered it; every executor sets its own."""

    progress: Callable[[str, int, int, str], None] = _silent
    stop_requested: Callable[[], bool] = _never
    log_to: Callable[[Path | None], AbstractContextManager[None]] = _no_log
    started: Callable[[str, tuple[str, ...], bool], None] = _unseen


LINK: ContextVar[Link] = ContextVar("datajuicer link")


@dataclass(frozen=True)
class Job:
    """Passed to every function that has a parameter named `job`; never a dependency.

    Attributes:
        key: the key of the result.
        folder: where its artifacts and checkpoints lie. It is kept between attempts, so a checkpoint survives
            a kill.
    """

    key: str
    folder: Path
    link: Link = field(default=Link(), repr=False)
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    # when progress was last written into the folder
    _written: list[float] = field(default_factory=lambda: [time.monotonic()], repr=False, compare=False)

    @classmethod
    def local(cls, folder: str | Path, key: str = "local") -> Job:
        """A job for calling a function directly, without `run`: progress goes nowhere and nobody asks for a
        stop.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        return cls(key, path, _written=[math.inf])

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Report that `done` of `total` steps are behind us; cheap enough for every step."""
        self.link.progress(self.key, done, total, text)
        now = time.monotonic()
        if now - self._written[0] > progress_file.EVERY:
            self._written[0] = now
            progress_file.write(self.folder, progress_file.Progress(done, total, text))

    def stop_requested(self) -> bool:
        """Whether to write a checkpoint and raise `Interrupted` now: after the first Ctrl-C or SIGTERM."""
        return self.link.stop_requested()

    def note(self, **facts: Any) -> None:
        """Put facts such as the data source or the kind of device into the record."""
        self.facts.update(facts)

    def artifact(self, filename: str) -> Artifact:
        """A finished file in the folder, as a value that a result can hold.

        Raises:
            UsageError: there is no such file, or it lies outside of the folder.
        """
        name = os.path.relpath(self.folder / filename, self.folder)
        try:
            path = member(self.folder, name)
        except Damaged as error:
            raise UsageError(
                f"the artifact {filename} lies outside of {self.folder}; write it into job.folder"
            ) from error
        if not path.is_file():
            raise UsageError(f"there is no file {path}; write it before calling job.artifact({filename!r})")
        sync_file(path)
        for parent in path.parents:  # the names too, or the file is lost with the power
            sync_folder(parent)
            if parent == self.folder:
                break
        return Artifact(name, file_digest(path), path.stat().st_size, self.folder)
