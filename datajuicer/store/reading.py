"""Reading files that may live on a network file system: a failed look is not yet a lost file.

A short read, a stale handle or a file that another machine has just written are transient. Before anything is
called missing or corrupt, it is read to its end and looked at again; young files are given more time, since
clients of NFS may remember for a while that a name did not exist.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from datajuicer.errors import UsageError

T = TypeVar("T")

TRANSIENT = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR", "EREMOTEIO", "EHOSTDOWN")
    if hasattr(errno, name)
)
RETRIES = (0.02, 0.1, 0.4)  # seconds between reads that fail
AGAIN = "run the same command again"  # what messages advise; on a cluster something else helps
SECOND_LOOK = (0.05,)  # seconds before another look at what seems missing or corrupt
SECOND_LOOK_YOUNG = (0.05, 0.2, 0.75)
YOUNG = 60.0  # seconds; NFS clients cache names and attributes for up to a minute


class CannotRead(UsageError):
    """A file exists and the file system cannot read it now; it is not corrupt, a later run may succeed."""

    transient = True


def retry(read: Callable[[], T]) -> T:
    """Return `read()`, called again after a while when the file system reports a transient error."""
    for pause in RETRIES:
        try:
            return read()
        except OSError as error:
            if error.errno not in TRANSIENT:
                raise
        time.sleep(pause)
    return read()


def cannot_read(path: str | Path, error: OSError) -> UsageError:
    """The error for a file that exists and cannot be read: where, why, what to do."""
    if error.errno in TRANSIENT:
        return CannotRead(
            f"{path} cannot be read now: {error.strerror or error}. It was left as it is; {AGAIN}, "
            "or check the file system"
        )
    return UsageError(f"{path} cannot be read: {error}; fix its permissions or name another store")


def read_start(path: str | Path) -> bytes:
    """The first bytes of a file, for small files usually all of it."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1 << 16)
    finally:
        os.close(file)


def read_bytes(path: str | Path) -> bytes:
    """The whole content of a file; a read that returns less than was asked for is not its end."""
    file = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(file, 1 << 24):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(file)


def is_young(path: str | Path) -> bool:
    """Whether a file was written within the last minute, or a clock is off by less than that."""
    try:
        return abs(time.time() - os.stat(path).st_mtime) < YOUNG
    except OSError:
        return False


def looks(folder: str | Path, young: bool) -> Iterator[int]:
    """Count looks at something in a folder, with a pause between two.

    Listing the folder makes a client of NFS ask the server which names exist.
    """
    yield 0
    for number, pause in enumerate(SECOND_LOOK_YOUNG if young else SECOND_LOOK, 1):
        time.sleep(pause)
        with suppress(OSError):
            os.listdir(folder)
        yield number


def read_checked(path: Path, size: int, sha256: str, young: bool) -> bytes | None:
    """The content of a file if it is what was written, else None.

    Raises:
        CannotRead: the file exists and cannot be read.
    """
    for _ in looks(path.parent, young):
        try:
            data = retry(lambda: read_bytes(path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            raise cannot_read(path, error) from error
        if len(data) == size and bytes_digest(data) == sha256:
            return data
    return None


def holds(path: Path, size: int, sha256: str, young: bool) -> bool:
    """Whether a file has the content that was written, without holding it in memory.

    Raises:
        CannotRead: the file exists and cannot be read.
    """

    def look() -> bool:
        return path.stat().st_size == size and file_digest(path) == sha256

    for _ in looks(path.parent, young):
        try:
            if retry(look):
                return True
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            raise cannot_read(path, error) from error
    return False


def exists(path: Path) -> bool:
    """Whether a file exists, asked again if it seems not to."""
    return any(path.is_file() for _ in looks(path.parent, is_young(path.parent)))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
