"""Claims: who is computing what at this moment.

A claim saves work and nothing else: the first record wins whatever the claims say. It is a file
`<key>.claim.<n>` beside the record, created exclusively, and touched every few seconds while its owner lives.
A claim that is not touched any more is stale; whoever creates number n + 1 has taken it over, and only one
can.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from datajuicer.store.store import Store

HEARTBEAT = 3.0  # seconds between two touches
STALE = 30.0  # seconds without a touch after which the owner counts as dead


@dataclass(frozen=True)
class Claim:
    """The right, as far as anybody cooperates, to compute one result."""

    path: Path
    number: int

    def touch(self) -> None:
        """Say that the owner lives. The time is the file server's, since no time is given."""
        with suppress(OSError):  # taken over or swept; correctness does not depend on it
            os.utime(self.path)

    def release(self) -> None:
        """Give the claim back, with the stale ones below it."""
        for path, number in _claims(self.path.parent, self.path.name.partition(".")[0]):
            if number <= self.number:
                path.unlink(missing_ok=True)


def claim(store: Store, function: str, key: str, stale: float = STALE) -> Claim | None:
    """Claim a result for this process, or None if a living process has it."""
    shelf = store.path(function, key).parent
    number = 0
    if existing := _claims(shelf, key):
        path, newest = max(existing, key=lambda c: c[1])
        if is_alive(path, stale):
            return None
        number = newest + 1
    path = shelf / f"{key}.claim.{number}"
    shelf.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None  # a contender was faster
    with os.fdopen(file, "w") as content:
        json.dump({"machine": machine(), "pid": os.getpid()}, content)
    return Claim(path, number)


def is_claimed(store: Store, function: str, key: str, stale: float = STALE) -> bool:
    """Whether a living process computes this result."""
    existing = _claims(store.path(function, key).parent, key)
    return bool(existing) and is_alive(max(existing, key=lambda c: c[1])[0], stale)


def _claims(shelf: Path, key: str) -> list[tuple[Path, int]]:
    prefix = f"{key}.claim."
    try:
        names = [n for n in os.listdir(shelf) if n.startswith(prefix)]
    except FileNotFoundError:
        return []
    return [(shelf / n, int(n.removeprefix(prefix))) for n in names if n.removeprefix(prefix).isdigit()]


def is_alive(path: Path, stale: float = STALE) -> bool:
    """Whether the owner of a claim still lives, as far as one can tell from here."""
    try:
        owner = json.loads(path.read_text() or "{}")
        touched = path.stat().st_mtime
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        owner, touched = {}, _mtime(path)
    if owner.get("machine") == machine() and not _process_exists(owner["pid"]):
        return False
    return server_time(path.parent) - touched < stale


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def server_time(folder: Path) -> float:
    """The time by the clock that stamps the files of this folder; ours, which may be hours off, where we
    cannot write.
    """
    probe = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        probe.touch()
    except OSError:
        return time.time()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@lru_cache(maxsize=1)
def machine() -> str:
    """Where a process number means something: the host, and the container in it."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        namespace = boot = ""
    return f"{socket.gethostname()} {boot} {namespace}"


@contextmanager
def heartbeat(claims: Sequence[Claim], needed: bool = True, every: float = HEARTBEAT) -> Iterator[None]:
    """Touch claims, also such as are added later, from a thread while the body runs, and release them
    after.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every):
            for one in list(claims):
                one.touch()

    thread = threading.Thread(target=beat, daemon=True)
    if needed:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if needed:
            thread.join()
        for one in claims:
            one.release()
