"""Values as pickles: what `saver="pickle"` and `loader="pickle"` stand for."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store.disk import FILE_MODE, FOLDER_MODE

READ_BACK = 1 << 20  # bytes of a pickle that is read back before it is stored


def save_pickle(folder: Path, value: Any) -> None:
    """The saver behind `saver="pickle"`: only the owner can write what it writes, whatever the umask says."""
    import cloudpickle

    data = cloudpickle.dumps(value)
    if len(data) <= READ_BACK:
        pickle.loads(data)  # what cannot be read back must not be recorded
    path = folder / "value.pickle"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE), "wb") as file:
        file.write(data)
    folder.chmod(FOLDER_MODE)


def load_pickle(root: Path, folder: Path) -> Any:
    """The loader behind `loader="pickle"`: refuses a store that others can write to, since a pickle can do
    anything.
    """
    path = folder / "value.pickle"
    for place in (path, *path.parents):
        check_ours(place, root)
        if place == root:
            break
    return pickle.loads(path.read_bytes())


def check_ours(place: Path, root: Path) -> None:
    """Raise a UsageError if somebody else could have put a pickle there.

    Args:
        place: a file or folder of the store; nothing is wrong with one that is not there yet.
        root: the root of the store.
    """
    try:
        info = place.stat()
    except FileNotFoundError:
        return
    if info.st_uid not in (os.getuid(), 0):
        raise UsageError(
            f"{place} belongs to {_user(info.st_uid)}, so pickles in it are not safe to load; compute into a "
            "store of your own (cache_dir=…), or store the results with another saver"
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"{place} can be written by others, so pickles in it are not safe to load; chmod -R go-w {root}, "
            "or store the results with another saver"
        )


def _user(number: int) -> str:
    try:
        import pwd

        return f"the user {pwd.getpwuid(number).pw_name}"
    except (ImportError, KeyError):
        return f"the user number {number}"
