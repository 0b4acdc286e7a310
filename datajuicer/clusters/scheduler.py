"""The contract of a cluster's scheduler, and how its commands are asked.

Everything durable happens in the scheduler and in the store; a `Scheduler` here only makes words and reads
answers, so that nothing has to stay alive where a command was typed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from datajuicer.clusters.site import Site
from datajuicer.errors import UsageError

PATIENCE = 30.0  # seconds after which a command that does not answer is given up
NOT_SEEN = 86  # exit status of a job whose node cannot read the campaign's folder

Alive = Literal["pending", "running", "suspended"]


class NoAnswer(UsageError):
    """The scheduler did not answer, so nothing is known; the same command may work a little later."""


@dataclass(frozen=True)
class Seen:
    """What the scheduler says of one element: alive in some way or ended, in its own words too."""

    state: Alive | Literal["ended"]
    words: str = ""


Answer = Mapping[tuple[str, int], Seen]  # by job id and index; what is not in it was not mentioned


@dataclass(frozen=True)
class Submission:
    """What became of sending a script: a job id, or why there is none.

    `refused` is only set where the scheduler said so itself; otherwise the job may exist all the same.
    """

    job: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Place:
    """Where an element finds itself: the job and its index in the array."""

    job: str
    index: int


class Scheduler(Protocol):
    """What LSF and SLURM have in common."""

    @property
    def name(self) -> str:
        """As in a plan: "lsf" or "slurm"."""
        ...

    def head(self, name: str, elements: int, site: Site, logs: Path, after: Sequence[str] = ()) -> list[str]:
        """The lines of a script that tell the scheduler what its array job needs.

        Args:
            name: the name of the job.
            elements: the size of the array.
            site: the site's settings.
            logs: the folder of the elements' output.
            after: ids of jobs that have to end before this one starts, however they end.
        """
        ...

    def submit(self, script: str) -> Submission:
        """Send a script."""
        ...

    def find(self, name: str) -> list[str]:
        """The ids of the jobs with this name, ended ones included.

        Raises:
            NoAnswer: that is not the same as no job.
        """
        ...

    def poll(self, jobs: Sequence[str]) -> Answer:
        """All elements of jobs, asked in one command.

        Raises:
            NoAnswer: nothing is known.
        """
        ...

    def cancel(self, job: str) -> None:
        """End a job and all its elements."""
        ...

    def place(self, environment: Mapping[str, str]) -> Place | None:
        """Where this process runs, from its environment; None: not in an array job of this scheduler."""
        ...

    def queue_again(self, place: Place) -> int:
        """Have this element queued once more; the exit status with which it has to end then."""
        ...


@dataclass(frozen=True)
class Reply:
    """What a command wrote, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What it complained about, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return " ".join(lines)[:300] or f"it ended with status {self.status} and said nothing"


def ask(words: Sequence[str], text: str = "", patience: float = PATIENCE, attempts: int = 2) -> Reply:
    """Run a scheduler's command; one that hangs is given up and asked again.

    Raises:
        UsageError: there is no such command here.
        NoAnswer: it hung each time.
    """
    for _ in range(attempts):
        try:
            done = subprocess.run(
                words,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patience,
                check=False,
            )
        except FileNotFoundError:
            raise UsageError(
                f"there is no {words[0]} on PATH: type this on a login node of the cluster, or choose "
                "another -mode"
            ) from None
        except PermissionError as error:
            raise UsageError(f"{words[0]} cannot be run: {error}") from None
        except subprocess.TimeoutExpired:
            continue
        return Reply(done.returncode, done.stdout, done.stderr)
    raise NoAnswer(f"{words[0]} gave no answer within {patience:g} s; give the same command again later")
