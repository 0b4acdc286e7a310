"""Looking after a store: check everything, and sweep what crashes left."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from datajuicer.store import claims
from datajuicer.store.disk import is_temporary
from datajuicer.store.named import is_linked, member, named_files
from datajuicer.store.quarantine import QUARANTINE
from datajuicer.store.reading import CannotRead, holds, is_young, read_bytes
from datajuicer.store.record import Damaged, Record, parse_record
from datajuicer.store.store import Store

# The files and folders that hold values; users give their artifacts names of their own.
_OURS = re.compile(r"value-[0-9a-f]{16}(\.safetensors)?")


@dataclass(frozen=True)
class Verified:
    """What a check of a whole store found."""

    sound: int = 0
    quarantined: tuple[str, ...] = ()  # function/key
    without_files: tuple[str, ...] = ()  # sound records that were copied without their large files
    unreadable: tuple[str, ...] = ()  # what the file system could not read; it was left as it is

    def __str__(self) -> str:
        return (
            f"{self.sound} results are sound, {len(self.quarantined)} were corrupt and are quarantined, "
            f"{len(self.without_files)} lack files"
            + (f", {len(self.unreadable)} cannot be read now" if self.unreadable else "")
        )


def verify(store: Store) -> Verified:
    """Read every record and every file that one names; quarantine what is corrupt.

    Of a store that lies over others only the first: those are only read.
    """
    store = Store(store.root)
    sound = 0
    bad: list[str] = []
    without: list[str] = []
    unreadable: list[str] = []
    for function in store.functions():
        for key, outcome in sorted(store.outcomes(function).items()):
            if outcome == "claimed":
                continue
            name = f"{function}/{key}"
            try:
                record = store.read(function, key, outcome)
                problem, absent = _problem(store, record)
            except CannotRead:
                unreadable.append(name)
                continue
            if record is None or problem:
                if record is not None and not store.quarantine_result(
                    function, key, record["checksum"], problem
                ):
                    continue  # another result took its place while we looked
                bad.append(name)
            else:
                sound += 1
                without += [name] if absent else []
    return Verified(sound, tuple(bad), tuple(without), tuple(unreadable))


def _problem(store: Store, record: Record | None) -> tuple[str, bool]:
    """What is wrong with the files of a record, and whether an artifact is not there (which is allowed)."""
    absent = False
    if record is None or record["outcome"] != "done":
        return "", absent
    young = is_young(store.path(record["function"], record["key"]))
    try:
        for file in named_files(record):
            path = member(store.folder_of(record), file.name)
            if not file.needed and not path.is_file():
                absent = True
            elif not holds(path, file.size, file.sha256, young):
                return f"its file {path.name} is {'corrupt' if path.is_file() else 'missing'}", absent
    except Damaged as error:
        return f"it {error}", absent
    return "", absent


def gc(store: Store, dry_run: bool = True, older_than: float = 3600.0) -> list[Path]:
    """Sweep temporaries, stale claims and files of ours that no record names; checkpoints and logs stay.

    What lies behind a link or in a store below is left alone: it may belong to something else.

    Args:
        store: the store.
        dry_run: only list them.
        older_than: seconds; what is younger may still be in use.
    """
    if not store.root.is_dir():
        return []
    store = Store(store.root)
    now = claims.server_time(store.root)
    found = [
        p for p in sorted(store.root.rglob("*.tmp")) if is_temporary(p.name) and _age(p, now) > older_than
    ]
    for path in sorted(store.root.glob("*/??/*.claim.*")):
        if path.parts[-3] != QUARANTINE and not claims.is_alive(path):
            found.append(path)
    for path in sorted(store.root.glob("*/??/*/value-*")):
        if path.parts[-4] == QUARANTINE or ".replaced-" in path.parent.name:
            continue  # what earlier versions set aside stays whole
        if _OURS.fullmatch(path.name) and _age(path, now) > older_than and not _is_named(store, path):
            found.append(path)
    found = [path for path in found if not is_linked(store.root, path)]
    if not dry_run:
        for path in found:
            is_folder = path.is_dir() and not path.is_symlink()
            shutil.rmtree(path) if is_folder else path.unlink(missing_ok=True)
    return found


def _is_named(store: Store, path: Path) -> bool:
    """Whether a record names a file of ours: that of the result, or one that it replaced."""
    folder, function = path.parent, path.parts[-4]
    records = [store.read(function, folder.name.partition(".")[0])]
    for replaced in folder.glob("replaced-*.json"):
        record = parse_record(read_bytes(replaced))
        records.append(None if isinstance(record, str) else record)
    try:
        return any(
            (store.folder_of(record) / file.name).is_relative_to(path)
            for record in records
            if record
            for file in named_files(record)
        )
    except Damaged:
        return True  # who can say what it names; `verify` moves the record away


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
