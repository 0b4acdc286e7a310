"""Layers: a store may lie over others, which are only read.

What the first store does not have is looked for in those below, in their order. Whatever is written, claimed
or moved is in the first. A result in any of them counts before a failure in any: a failed attempt above hides
no result below.

A result below that turns out to be damaged stays where it is, and the first store notes that it counts as
missing: `<key>.hidden.<start of its checksum>` holds the reason. A result in the first store makes the note
void, and so does another record below; where only files of the record were repaired, remove the note.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from datajuicer.errors import StoreWarning, UsageError
from datajuicer.store.disk import write_file
from datajuicer.store.listing import file_names
from datajuicer.store.reading import bytes_digest
from datajuicer.store.record import Record, parse_record

_HIDDEN = "hidden"


def check_below(first: Path, place: Path) -> None:
    """Raise a UsageError if a folder cannot lie below a store."""
    if not place.is_dir():
        raise UsageError(f"there is no store {place} to lie below {first}; name a folder of results")
    if place.resolve() == first.resolve():
        raise UsageError(f"the store {first} cannot lie below itself; leave it out of below=…")


def check_is_there(root: Path, below: Sequence[Path]) -> None:
    """Raise a UsageError if there is nothing to read: no folder, and none below it."""
    if not (below or root.is_dir()):
        raise UsageError(f"there is no store {root}; name the folder that holds the functions' folders")


def hide(root: Path, path: str | Path, reason: str, bad: bytes) -> None:
    """Note in a store that a record below it counts as missing, and warn once.

    Args:
        root: the root of the store.
        path: the file of the record, in a store below.
        reason: what is wrong with it.
        bad: its content; a file with other content counts again.
    """
    path = Path(path)
    record = parse_record(bad)
    content = bad if isinstance(record, str) else record
    note = _note(root, path.parent.parent.name, path.name.partition(".")[0], content)
    try:
        write_file(Path(note), f"{path} {reason}\n".encode(), root)
    except FileExistsError:
        return  # known already
    except OSError as error:
        outcome = f"that cannot be noted: {error.strerror or error}"
    else:
        outcome = f"remove {note} when it is repaired there"
    warnings.warn(
        f"{path} {reason}; its store is only read, so it stays there and counts as missing here ({outcome})",
        StoreWarning,
        stacklevel=3,
    )


def is_hidden(root: Path, function: str, key: str, content: Record | bytes) -> bool:
    """Whether a record below a store counts as missing, by the record or the bytes of a corrupt one."""
    return os.path.exists(_note(root, function, key, content))


def hidden_keys(root: Path, function: str) -> set[str]:
    """Return the keys of a function under which some record below a store counts as missing."""
    parts = (name.split(".", 2) for name in file_names(root, function))
    return {part[0] for part in parts if len(part) == 3 and part[1] == _HIDDEN}


def _note(root: Path, function: str, key: str, content: Record | bytes) -> str:
    checksum = bytes_digest(content) if isinstance(content, bytes) else content["checksum"]
    return f"{root}/{function}/{key[:2]}/{key}.{_HIDDEN}.{checksum[:16]}"
