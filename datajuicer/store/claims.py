"""Claims: advisory locks on the results that are being computed.

A claim saves work and nothing else: the first record wins whatever the claims say. It is a file
`<key>.claim.<n>` beside the record, created exclusively, and touched every few seconds by its owner. A claim
whose owner is dead is stale; whoever creates number n + 1 has taken it over, and only one can.

On one machine an owner lives as long as its process, known by number and start time: a process that holds
the interpreter lock, is stopped or swapped out touches nothing and still computes. Elsewhere only the touches
can be seen, so a longer time without one is allowed.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from datajuicer.store.disk import FILE_MODE, make_folder
from datajuicer.store.processes import machine, may_live, same_machine, start_time
from datajuicer.store.reading import retry
from datajuicer.store.store import Store

HEARTBEAT = 3.0  # seconds between two touches
STALE = 300.0  # seconds without a touch after which an owner that cannot be seen from here counts as dead
UNWRITTEN = 10.0  # the same, for a claim that says nothing of its owner: it was killed before it could

_held: dict[str, tuple[int, Claim]] = {}  # by token: the claims of this process and the thread of each
_hearts: dict[int, threading.Thread] = {}  # by process: the thread that touches its claims


@dataclass(frozen=True)
class Claim:
    """An advisory lock on one result."""

    path: Path
    number: int
    token: str = ""  # also written into the file: which claims of a process it still holds

    def touch(self) -> None:
        """Show that the owner lives. The time is the file server's, since no time is given."""
        with suppress(OSError):  # taken over or swept; correctness does not depend on it
            os.utime(self.path)

    def release(self) -> None:
        """Remove the claim, with the stale ones below it."""
        _held.pop(self.token, None)  # first: what cannot be removed must not look held for ever
        with suppress(OSError):
            for path, number in _claims(self.path.parent, self.path.name.partition(".")[0]):
                if number <= self.number:
                    retry(lambda path=path: path.unlink(missing_ok=True))


def claim(store: Store, function: str, key: str, stale: float = STALE) -> Claim | None:
    """Claim a result for this process, or return None if a living process has it."""
    shelf = store.path(function, key).parent
    number = 0
    if existing := _claims(shelf, key):
        path, newest = max(existing, key=lambda c: c[1])
        if is_alive(path, stale):
            return None
        number = newest + 1
    path = shelf / f"{key}.claim.{number}"
    make_folder(shelf, store.root)
    made = Claim(path, number, uuid.uuid4().hex)
    # made before the file: a process that is killed in between leaves a claim without an owner
    owner = json.dumps({**_process(os.getpid()), "token": made.token}).encode()
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
    except FileExistsError:
        return None  # a contender was faster
    _held[made.token] = threading.get_ident(), made
    try:
        with os.fdopen(file, "wb", buffering=0) as content:
            content.write(owner)
    except OSError:
        made.release()
        raise
    _start_heart()
    return made


@lru_cache(maxsize=1)
def _process(pid: int) -> dict[str, Any]:
    """What a claim says of this process."""
    return {"machine": machine(), "pid": pid, "started": start_time(pid)}


def is_claimed(store: Store, function: str, key: str, stale: float = STALE) -> bool:
    """Whether a living process computes this result."""
    existing = _claims(store.path(function, key).parent, key)
    return bool(existing) and is_alive(max(existing, key=lambda c: c[1])[0], stale)


def is_claimed_here(store: Store, function: str, key: str) -> bool:
    """Whether this very thread computes this result, so that waiting for it would never end."""
    mine = threading.get_ident()
    existing = _claims(store.path(function, key).parent, key)
    held = (_held.get(_owner(path).get("token", "")) for path, _ in existing)
    return any(one is not None and one[0] == mine for one in held)


def _claims(shelf: Path, key: str) -> list[tuple[Path, int]]:
    prefix = f"{key}.claim."
    try:
        names = [n for n in os.listdir(shelf) if n.startswith(prefix)]
    except FileNotFoundError:
        return []
    return [(shelf / n, int(n.removeprefix(prefix))) for n in names if n.removeprefix(prefix).isdigit()]


def _owner(path: Path) -> dict[str, Any]:
    """What a claim says of its owner; nothing if it is still being written, cut short or gone."""
    try:
        owner = json.loads(retry(path.read_text))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def is_alive(path: Path, stale: float = STALE) -> bool:
    """Whether the owner of a claim still lives, as far as one can tell from here.

    Args:
        path: the file of the claim.
        stale: seconds without a touch that are allowed where the process itself cannot be seen.
    """
    owner = _owner(path)
    if not owner:
        stale = min(stale, UNWRITTEN)
    if same_machine(owner.get("machine", "")) and isinstance(owner.get("pid"), int):
        if not may_live(owner["pid"], owner.get("started")):
            return False
        if owner["pid"] == os.getpid() and "token" in owner:
            return owner["token"] in _held
        if owner.get("started") is not None:
            return True
    try:
        touched = path.stat().st_mtime
    except OSError:
        return False
    # The owner touches by the server's clock. A time far ahead of that clock was set before the clock was set
    # back, and nobody has touched the claim since.
    return abs(server_time(path.parent) - touched) < stale


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
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


@contextmanager
def holding(claims: Sequence[Claim]) -> Iterator[None]:
    """Release claims, also such as are added later, after the body has run."""
    try:
        yield
    finally:
        for one in claims:
            one.release()


def _start_heart() -> None:
    """Have all claims of this process touched from now on, by one thread for as long as the process lives.

    A thread per computation would cost more than a short computation.
    """
    pid = os.getpid()  # a fork has no thread of its parent
    if pid not in _hearts:
        heart = threading.Thread(target=_beat, name="datajuicer heartbeat", daemon=True)
        if _hearts.setdefault(pid, heart) is heart:
            heart.start()


def _beat() -> None:
    while True:
        time.sleep(HEARTBEAT)
        for _, one in list(_held.values()):
            one.touch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)  # they are the parent's
