"""Looking after a store: check everything, sweep what crashes left, carry results from one store to
another.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store import claims
from datajuicer.store.disk import cannot_write, is_temporary, make_folder, sync_file, unique
from datajuicer.store.quarantine import QUARANTINE
from datajuicer.store.reading import CannotRead, file_digest, holds, is_young, read_bytes
from datajuicer.store.record import Record, difference, parse_record
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


@dataclass(frozen=True)
class Copied:
    """What was carried over, as function/key."""

    new: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)  # there already with another value; that one stays
    without_files: list[str] = field(default_factory=list)  # left out, since files of theirs are missing


def verify(store: Store) -> Verified:
    """Read every record and every file that one names; quarantine what is corrupt."""
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
    for path, sha256, size, needed in named_files(store, record):
        if not needed and not path.is_file():
            absent = True
        elif not holds(path, size, sha256, young):
            return f"its file {path.name} is {'corrupt' if path.is_file() else 'missing'}", absent
    return "", absent


def named_files(store: Store, record: Record) -> Iterator[tuple[Path, str, int, bool]]:
    """The files that a record names: path, SHA-256, size, and whether the value cannot be read without."""
    folder = store.folder_of(record)
    if "arrays" in record:
        name, sha256, size = record["arrays"]
        yield folder / name, sha256, size, True
    value = record.get("value")
    if type(value) is dict and "$files" in value:
        for name, (sha256, size) in value["$files"]["files"].items():
            yield folder / value["$files"]["folder"] / name, sha256, size, True
    else:
        for name, sha256, size in _artifacts(value):
            yield folder / name, sha256, size, False


def _artifacts(tree: Any) -> Iterator[tuple[str, str, int]]:
    if type(tree) is list:
        for item in tree:
            yield from _artifacts(item)
    elif type(tree) is dict:
        if len(tree) == 1 and "$artifact" in tree:
            yield tuple(tree["$artifact"])
        else:
            for item in tree.values():
                yield from _artifacts(item)


def gc(store: Store, dry_run: bool = True, older_than: float = 3600.0) -> list[Path]:
    """Sweep temporaries, stale claims and files of ours that no record names; checkpoints and logs stay.

    Args:
        store: the store.
        dry_run: only list them.
        older_than: seconds; what is younger may still be in use.
    """
    if not store.root.is_dir():
        return []
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
    if not dry_run:
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return found


def _is_named(store: Store, path: Path) -> bool:
    """Whether a record names a file of ours: that of the result, or one that it replaced."""
    folder, function = path.parent, path.parts[-4]
    records = [store.read(function, folder.name.partition(".")[0])]
    for replaced in folder.glob("replaced-*.json"):
        record = parse_record(read_bytes(replaced))
        records.append(None if isinstance(record, str) else record)
    return any(
        named.is_relative_to(path) for record in records if record for named, *_ in named_files(store, record)
    )


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def copy_results(source: Store, target: Store, functions: list[str] | None = None) -> Copied:
    """Copy the finished results of a store, checked on the way, files first and records last.

    Args:
        source: where from.
        target: where to; what is there already stays.
        functions: only these; default: all.
    """
    if not source.root.is_dir():
        raise UsageError(
            f"there is no store {source.root}; name the folder that holds the functions' folders"
        )
    target.check_writable()
    copied = Copied()
    for function in source.functions() if functions is None else functions:
        for record in source.records(function):
            name = f"{function}/{record['key']}"
            there = target.read(function, record["key"])
            if there is not None:
                (copied.different if difference(there, record) else copied.same).append(name)
            elif _copy_files(source, target, record):
                target.write(record)
                copied.new.append(name)
            else:
                copied.without_files.append(name)
    return copied


def _copy_files(source: Store, target: Store, record: Record) -> bool:
    start, end = source.folder_of(record), target.folder_of(record)
    for path, sha256, size, needed in named_files(source, record):
        if not path.is_file():
            if needed:
                return False
            continue  # an artifact may be left behind; the record says so when somebody asks for it
        copy = end / path.relative_to(start)
        temporary = copy.with_name(f"{copy.name}.{unique()}.tmp")
        try:
            make_folder(copy.parent, target.root)
            shutil.copyfile(path, temporary)
            if file_digest(temporary) != sha256:
                return False
            sync_file(temporary)
            os.replace(temporary, copy)
        except OSError as error:
            raise cannot_write(copy, size, error) from error
        finally:
            temporary.unlink(missing_ok=True)
    return True
