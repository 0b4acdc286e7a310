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
from datajuicer.store import claims, values
from datajuicer.store.disk import cannot_write, is_temporary, make_folder, sync_file, unique
from datajuicer.store.record import Record, difference
from datajuicer.store.store import QUARANTINE, Store

# The files and folders that hold values; users give their artifacts names of their own.
_OURS = re.compile(r"value-[0-9a-f]{16}(\.safetensors)?")


@dataclass(frozen=True)
class Verified:
    """What a check of a whole store found."""

    sound: int = 0
    quarantined: tuple[str, ...] = ()  # function/key
    without_files: tuple[str, ...] = ()  # sound records that were copied without their large files

    def __str__(self) -> str:
        return (
            f"{self.sound} results are sound, {len(self.quarantined)} were corrupt and are quarantined, "
            f"{len(self.without_files)} lack files"
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
    sound, bad, without = 0, [], []
    for function in store.functions():
        for key, outcome in sorted(store.outcomes(function).items()):
            if outcome == "claimed":
                continue
            record = store.read(function, key, outcome)
            problem, absent = _problem(store, record)
            if problem and record is not None:
                store.quarantine_result(function, key, problem)
            if record is None or problem:
                bad.append(f"{function}/{key}")
            else:
                sound += 1
                without += [f"{function}/{key}"] if absent else []
    return Verified(sound, tuple(bad), tuple(without))


def _problem(store: Store, record: Record | None) -> tuple[str, bool]:
    """What is wrong with the files of a record, and whether an artifact is not there (which is allowed)."""
    absent = False
    if record is None or record["outcome"] != "done":
        return "", absent
    for path, sha256, size, needed in named_files(store, record):
        if not path.is_file():
            if needed:
                return f"its file {path.name} is missing", absent
            absent = True
        elif path.stat().st_size != size or values.file_digest(path) != sha256:
            return f"its file {path.name} is corrupt", absent
    return "", absent


def named_files(store: Store, record: Record) -> Iterator[tuple[Path, str, int, bool]]:
    """The files that a record names: path, SHA-256, size, and whether the value cannot be read without."""
    folder = store.folder(record["function"], record["key"])
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
        function, _, key = path.parts[-4:-1]
        if "." in key or not _OURS.fullmatch(path.name) or _age(path, now) <= older_than:
            continue  # what was set aside stays whole
        record = store.read(function, key)
        if record is None or not any(named.is_relative_to(path) for named, *_ in named_files(store, record)):
            found.append(path)
    if not dry_run:
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return found


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
    start = source.folder(record["function"], record["key"])
    end = target.folder(record["function"], record["key"])
    for path, sha256, size, needed in named_files(source, record):
        if not path.is_file():
            if needed:
                return False
            continue  # an artifact may be left behind; the record says so when somebody asks for it
        copy = end / path.relative_to(start)
        temporary = copy.with_name(f"{copy.name}.{unique()}.tmp")
        try:
            make_folder(copy.parent)
            shutil.copyfile(path, temporary)
            if values.file_digest(temporary) != sha256:
                return False
            sync_file(temporary)
            os.replace(temporary, copy)
        except OSError as error:
            raise cannot_write(copy, size, error) from error
        finally:
            temporary.unlink(missing_ok=True)
    return True
