"""The disk: how a file is written so that a crash leaves the whole file or none."""

from __future__ import annotations

import errno
import os
import re
import socket
import uuid
from pathlib import Path
from typing import TypeGuard

from datajuicer.errors import UsageError


class StoreFull(UsageError):
    """A result could not be written; computing more would be in vain."""


def write_file(path: Path, data: bytes) -> None:
    """Write a new file and wait until its content is on the disk."""
    try:
        file = path.open("xb")
    except FileNotFoundError:
        make_folder(path.parent)
        file = path.open("xb")
    with file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    try:
        sync_file(path)
    except OSError as error:  # some network file systems cannot sync a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, and wait until their names are on the disk."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def unique() -> str:
    """A name that no other writer, here or on another machine, uses for its temporary file."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that we give to what is not finished."""
    return re.search(r"(-\d+-[0-9a-f]{8}|^\.[0-9a-f]{32})\.tmp$", name) is not None


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """Whether an error says that there is no room left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def cannot_write(path: Path, need: int | None, error: OSError) -> StoreFull:
    """The error for a write that failed: where, how much room it needs, what to do."""
    size = f" ({need} bytes are needed)" if need is not None else ""
    remedy = "make room" if is_full(error) else "mend that"
    return StoreFull(
        f"{path} cannot be written{size}: {error.strerror or error}. Nothing that was finished is lost; "
        f"{remedy} or name another store, and run the same command again"
    )
