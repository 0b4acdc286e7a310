"""How far a computation is, in a file of its folder, where another process can read it.

Written every few seconds at most; what has a result has none. One that was stopped leaves it, as it leaves
its checkpoint.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NAME = "progress.json"
EVERY = 5.0  # seconds between two writes


class Progress(NamedTuple):
    """Steps behind a computation, all of its steps, and what it says of itself."""

    done: int
    total: int
    text: str = ""

    def __str__(self) -> str:
        share = f"{100 * self.done // self.total} %" if self.total else "begun"
        return f"{share}, {self.done}/{self.total} {self.text}".strip()


def write(folder: Path, progress: Progress) -> None:
    """Write the file whole, or not at all where the disk does not let us: progress is no result."""
    temporary = folder / f".{NAME}.{os.getpid()}"
    with suppress(OSError):
        temporary.write_text(json.dumps(progress))
        temporary.replace(folder / NAME)


def read(folder: Path) -> Progress | None:
    """How far the computation in a folder is; None if nothing is known."""
    try:
        done, total, text = json.loads((folder / NAME).read_text())
        return Progress(int(done), int(total), str(text))
    except (OSError, ValueError, TypeError):
        return None


def remove(folder: Path) -> None:
    """Remove the file of a computation that has ended."""
    with suppress(OSError):
        (folder / NAME).unlink()
