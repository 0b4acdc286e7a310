"""The disk: how a file is written so that a crash leaves the whole file or none."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import uuid
from pathlib import Path
from typing import TypeGuard

from datajuicer.errors import UsageError
from datajuicer.store.reading import AGAIN

FILE_MODE = 0o644  # whatever the umask says, only the owner may write; the umask can take more away
FOLDER_MODE = 0o755

_synced: set[tuple[int, int]] = set()  # folders, as device and inode, whose own names are on the disk


class StoreFull(UsageError):
    """A result could not be written; no other result can be written either."""


def write_file(path: Path, data: bytes, root: Path | None = None) -> None:
    """Write a new file and wait until its content is on the disk; missing folders are made."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, FILE_MODE)
    except FileNotFoundError:
        make_folder(path.parent, root)
        file = os.open(path, flags, FILE_MODE)
    try:
        left = memoryview(data)
        while left:  # a write may take less than it was given
            left = left[os.write(file, left) :]
        os.fsync(file)
    finally:
        os.close(file)


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
    except OSError as error:  # some network file systems cannot sync a folder; one above may not be readable
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise


def sync_folders(path: Path, root: Path) -> None:
    """Wait until the names in a folder are on the disk, and the names of the folders between it and the root.

    The latter are waited for once per process: they do not change any more.
    """
    sync_folder(path)
    while True:
        info = path.stat()
        place = (info.st_dev, info.st_ino)
        if place in _synced:
            return
        sync_folder(path.parent)
        _synced.add(place)
        if path == root:
            return
        path = path.parent


def make_folder(path: Path, root: Path | None = None) -> None:
    """Make a folder, with those above it, that only its owner may write to.

    Where the group may write to the folder above (a store that is shared on purpose), the umask decides. A
    store that is new belongs to its owner wherever it lies, unless the folder above passes its group on
    (setgid).

    Args:
        path: the folder.
        root: the root of the store.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    if not missing:
        return
    above = path.stat().st_mode
    shared = above & stat.S_IWGRP and (root not in missing or above & stat.S_ISGID)
    for folder in reversed(missing):
        folder.mkdir(mode=0o777 if shared else FOLDER_MODE, exist_ok=True)
        info = folder.stat()
        _synced.discard((info.st_dev, info.st_ino))  # the number may be that of one that was removed


def absolute_place(root: str | os.PathLike[str]) -> Path:
    """Return where a store is now, as the working directory may change; `~` is the user's home.

    Raises:
        UsageError: there is no working directory, or no home.
    """
    path = Path(root)
    try:
        return (path.expanduser() if path.parts[:1] and path.parts[0][0] == "~" else path).absolute()
    except (RuntimeError, OSError) as error:
        raise UsageError(f"the store {root} has no place: {error}; give its whole path") from error


def remove_leftover(temporary: Path) -> None:
    """Remove a temporary file if that can be done; `gc` sweeps it, and a stored result must not look lost."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return


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
    remedy = "make room" if is_full(error) else "fix that"
    return StoreFull(
        f"{path} cannot be written{size}: {error.strerror or error}. Nothing that was finished is lost; "
        f"{remedy} or name another store, and {AGAIN}"
    )
