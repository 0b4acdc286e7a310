"""Quarantine: moving what was found corrupt out of the way, and nothing else.

The bytes are what is condemned, never the name: between a bad read and the move, another process may have put
a sound result under the same name.
"""

from __future__ import annotations

import os
import time
import warnings
from contextlib import suppress
from pathlib import Path

from datajuicer.errors import StoreWarning
from datajuicer.store.reading import read_bytes, retry

QUARANTINE = "quarantine"


def quarantine(root: Path, path: str | Path, reason: str, bad: bytes) -> None:
    """Move a file whose content is `bad` to the quarantine, with the reason beside it, and warn once.

    A file with other content stays. Never raises, never deletes.
    """
    path = Path(path)
    target = root / QUARANTINE / f"{path.parent.parent.name}-{path.name}.{time.time_ns()}"
    try:
        if retry(lambda: read_bytes(path)) != bad:
            return  # somebody replaced it in the meantime
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(path, target)
        if retry(lambda: read_bytes(target)) != bad:  # replaced between the look and the move
            _put_back(target, path)
            return
        target.with_name(target.name + ".reason").write_text(f"{path} {reason}\n")
    except FileNotFoundError:
        return  # somebody else was faster, and reported it
    except OSError:
        warnings.warn(
            f"{path} {reason}; it counts as missing, but cannot be moved away", StoreWarning, stacklevel=3
        )
        return
    warnings.warn(
        f"{path} {reason}; it was moved to {target} and counts as missing", StoreWarning, stacklevel=3
    )


def _put_back(target: Path, path: Path) -> None:
    """Undo a move, unless a newer file has the name by now; then it stays where it is, which loses nothing
    that is served.
    """
    try:
        os.link(target, path)
    except FileExistsError:
        return
    except OSError:  # no hard links here
        if not path.exists():
            os.rename(target, path)
        return
    with suppress(OSError):
        target.unlink()
