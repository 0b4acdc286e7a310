"""Endings: what the exit status means with which an element ended, and what to do about it.

Our own script has exit statuses for what keeps it from starting the computation. A status above 128 of a
shell, the second number of SLURM's `0:9` and the low byte of a raw wait status stand for a signal.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

NOT_SEEN = 86  # the node cannot read the campaign's folder
NOT_SET_UP = 87  # a command of the site's set_up failed


@dataclass(frozen=True)
class Ending:
    """How an element ended: with an exit status, by a signal, or by an error of SLURM before it started.

    Attributes:
        status: the exit status; 0 if a signal killed it.
        signal: the number of the signal; 0: none.
        error: the number of SLURM's own error; 0: none.
    """

    status: int = 0
    signal: int = 0
    error: int = 0

    def __str__(self) -> str:
        if self.signal:
            return signal_name(self.signal)
        if self.error:
            return f"SLURM error {self.error}"
        return f"exit {self.status}" if self.status else ""


def signal_name(number: int) -> str:
    """Return the name of a signal, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def from_shell(code: str) -> Ending:
    """Read an exit code as LSF gives it: above 128 it stands for a signal."""
    if not code.isdigit():
        return Ending()
    number = int(code)
    return Ending(signal=number - 128) if _is_signal(number - 128) else Ending(status=number)


def from_slurm(code: str) -> Ending:
    """Read an exit code of SLURM: `86:0`, `0:9`, or a raw wait status such as 22016 or 9.

    Example:
        >>> str(from_slurm("22016")), str(from_slurm("86:0")), str(from_slurm("9")), str(from_slurm("0:9"))
        ('exit 86', 'exit 86', 'SIGKILL', 'SIGKILL')
    """
    match = re.fullmatch(r"(\d+)(?::(\d+))?", code)
    if match is None:
        return Ending()
    number = int(match[1])
    if match[2] is not None:
        return Ending(signal=int(match[2])) if int(match[2]) else from_shell(match[1])
    if number % 256 == 0:
        return from_shell(str(number >> 8))
    if number < 256:  # with 128 where it left a core dump
        return Ending(signal=number & 127) if _is_signal(number & 127) else Ending(status=number)
    return Ending(error=number)  # no wait status has both: an error of SLURM itself, such as 4021


def _is_signal(number: int) -> bool:
    return 0 < number < signal.NSIG


_MORE_MEMORY = "give it more (-memory=… or memory in launch_settings.toml)"
_OUT_OF_MEMORY = re.compile("OUT_OF_MEMORY|OOM|MEMLIMIT")
_ENDED_BY_ORDER = re.compile("TIMEOUT|CANCELLED|PREEMPTED|TERM_(?!EXTERNAL_SIGNAL|UNKNOWN)")
_NEVER_STARTED = re.compile("Constraints|Dependency|NotAvail|Invalid|Limit|Held")


def cause(ending: Ending, words: str, has_started: bool) -> str:
    """Return why an element left no result, as far as its ending says; empty if it says nothing.

    Args:
        ending: how it ended.
        words: the scheduler's words for that.
        has_started: whether it left anything, a log or a trace.
    """
    if ending.status in _BY_STATUS:
        return _BY_STATUS[ending.status]
    if _OUT_OF_MEMORY.search(words):
        return f"it ran out of memory ({words}); {_MORE_MEMORY}"
    if not has_started and ending.error:
        return (
            f"the scheduler could not start it ({words}): its node does not see the folder of its log; keep "
            "the store where all nodes see it"
        )
    if not has_started and _NEVER_STARTED.search(words):
        return f"the scheduler ended it before it started ({words})"
    if ending.signal == signal.SIGKILL and not _ENDED_BY_ORDER.search(words):
        return f"it was killed by SIGKILL ({words}), perhaps for want of memory; then {_MORE_MEMORY}"
    return ""


_NO_PYTHON = (
    "its node does not find the Python that submitted it; install that where all nodes see it, or load it in "
    "set_up"
)
_BY_STATUS = {
    NOT_SET_UP: "a command of set_up failed on its node; correct it in launch_settings.toml",
    126: _NO_PYTHON,  # what a shell ends with if it may not run a command
    127: _NO_PYTHON,  # … if it does not find it
}
