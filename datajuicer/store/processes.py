"""Processes of this machine: which one made a claim, and whether that very one still lives."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path


def user_name() -> str:
    """The name of who runs this process, whatever the environment says."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return str(os.getuid())


@lru_cache(maxsize=1)
def machine() -> str:
    """Where a process number means something: the host, the boot and the container in it."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        namespace = boot = ""
    return f"{socket.gethostname()} {boot} {namespace}"


def same_machine(other: str) -> bool:
    """Whether process numbers of another `machine()` are ours. A host may change its name while it runs."""
    _, boot, namespace = machine().rsplit(" ", 2)
    if boot and namespace:
        return other.rsplit(" ", 2)[-2:] == [boot, namespace]
    return other == machine()


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or the system does not show it.

    A number is used again sooner or later, number and start time are not.
    """
    state = _state(pid)
    return None if state is None else state[1]


def may_live(pid: int, started: int | None) -> bool:
    """Whether the process with this number, and this start time if it is known, may still be there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    except OverflowError:
        return False
    state = _state(pid)
    if state is None:
        return True  # this system does not show
    return state[0] not in "ZX" and (started is None or started == state[1])  # a zombie computes nothing


def _state(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()  # a name may hold anything
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
