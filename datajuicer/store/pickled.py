"""Values as pickles: what `saver="pickle"` and `loader="pickle"` stand for."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError


def save_pickle(folder: Path, value: Any) -> None:
    """The saver behind `saver="pickle"`."""
    import cloudpickle

    (folder / "value.pickle").write_bytes(cloudpickle.dumps(value))
    folder.chmod(0o755)


def load_pickle(root: Path, folder: Path) -> Any:
    """The loader behind `loader="pickle"`: refuses a store that others can write to, since a pickle can do
    anything.
    """
    path = folder / "value.pickle"
    for place in (path, *path.parents):
        mode = place.stat()
        if mode.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or mode.st_uid not in (os.getuid(), 0):
            raise UsageError(
                f"{place} can be written by others, so the pickle in it is not safe to load; "
                f"chmod -R go-w {root}, or store the result with another saver"
            )
        if place == root:
            break
    return pickle.loads(path.read_bytes())
