"""The contract of a cluster's scheduler.

Everything durable happens in the scheduler and in the store; a `Scheduler` here only makes words and reads
answers, so that nothing has to stay alive where a command was typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from datajuicer.clusters.endings import Ending
from datajuicer.clusters.site import Site
from datajuicer.errors import UsageError

PATIENCE = 30.0  # seconds after which a command that does not answer is given up

Alive = Literal["pending", "running", "suspended"]


class NoAnswer(UsageError):
    """The scheduler did not answer, so nothing is known; the same command may work a little later."""


@dataclass(frozen=True)
class Seen:
    """What the scheduler says of one element.

    Attributes:
        state: alive in some way, or ended.
        words: the same in its own words.
        name: the name of its job; empty: not said.
        user: whose job it is; empty: not said.
        ending: how it ended.
    """

    state: Alive | Literal["ended"]
    words: str = ""
    name: str = ""
    user: str = ""
    ending: Ending = Ending()


Answer = Mapping[tuple[str, int], Seen]  # by job id and index; what is not in it was not mentioned


@dataclass(frozen=True)
class Submission:
    """What became of sending a script: a job id, or why there is none.

    Attributes:
        job: its id.
        refused: why the scheduler did not take it, where it said so itself.
        unclear: what was said instead of an id; the job may exist all the same.
    """

    job: str = ""
    refused: str = ""
    unclear: str = ""


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

    @property
    def lag(self) -> float:
        """Seconds for which it may not list a job that it has."""
        ...

    def check(self) -> None:
        """Raise a UsageError if the scheduler here is too old for what is sent to it."""
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

    def find(self, name: str) -> Answer:
        """All elements of the jobs with this name, ended ones included.

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

    def cancel(self, job: str, name: str) -> None:
        """End a job and all its elements, if the job of this id has this name."""
        ...

    def place(self, environment: Mapping[str, str]) -> Place | None:
        """Where this process runs, from its environment; None: not in an array job of this scheduler."""
        ...

    def queue_again(self, place: Place) -> int:
        """Have this element queued once more; the exit status with which it has to end then."""
        ...
