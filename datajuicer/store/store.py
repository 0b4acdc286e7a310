"""The store: one record file per result, and nothing else is the truth.

::

    sessions/<function>/<first two of key>/<key>.json         the record of a finished result, its only proof
    sessions/<function>/<first two of key>/<key>.failed.json  the record of a failure
    sessions/<function>/<first two of key>/<key>/             artifacts, checkpoints, log.txt
    sessions/<function>/<first two of key>/<key>.run-<id>/    the same, of a result that replaced another
    sessions/<function>/<first two of key>/<key>.claim.<n>    somebody computes this now (see claims.py)
    sessions/quarantine/                                      what turned out corrupt, each with its reason
    sessions/campaigns/                                       what was sent to clusters (clusters/campaign.py)
    sessions/.pruned/<time>/                                  what was moved aside (pruning.py)
    sessions/.gitignore                                       keeps a new store out of version control

Artifacts are complete and on the disk before the record appears, and the record appears in one step, so a
reader sees a whole result or none. The first of two results stays. A result that is to replace another is
computed beside it, in a folder that its record names, and takes the record's name when it is complete: until
then the old one is what everybody reads, and afterwards it lies in its own folder as `replaced-<time>.json`.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store import listing, values
from datajuicer.store.arrays import arrays_from_bytes
from datajuicer.store.disk import cannot_write, make_folder, sync_folders, unique, write_file
from datajuicer.store.named import member, named_file, saved_files
from datajuicer.store.quarantine import quarantine
from datajuicer.store.reading import (
    cannot_read,
    holds,
    is_young,
    looks,
    read_bytes,
    read_checked,
    read_start,
    retry,
)
from datajuicer.store.record import FORMAT, Damaged, Record, difference, format_record, parse_record

LOG = "log.txt"

_GITIGNORE = b"# Results of datajuicer; remove this file to put them under version control.\n*\n"

MISSING: Any = object()  # stands for a value whose artifacts are gone


@dataclass(frozen=True)
class Store:
    """The results in one folder. Opening one reads and writes nothing.

    The folder is made absolute here and now, since the working directory may change at any time.
    """

    root: Path

    def __init__(self, root: str | os.PathLike[str] = "sessions"):
        object.__setattr__(self, "root", _absolute(root))

    # -- where things lie

    def folder(self, function: str, key: str, run: str = "") -> Path:
        """The folder of a result's artifacts and checkpoints; `run`: the id of one that replaces another."""
        return self.root / function / key[:2] / (f"{key}.run-{run}" if run else key)

    def folder_of(self, record: Record) -> Path:
        """The folder of the files that a record names."""
        key = record["key"]
        return self.root / record["function"] / key[:2] / record.get("folder", key)

    def path(self, function: str, key: str, outcome: str = "done") -> Path:
        """The file of a record."""
        return Path(self._path(function, key, outcome))

    def _path(self, function: str, key: str, outcome: str) -> str:
        # plain text: making Path objects would cost more than reading the record
        suffix = ".json" if outcome == "done" else ".failed.json"
        return f"{self.root}/{function}/{key[:2]}/{key}{suffix}"

    def functions(self) -> list[str]:
        """The names of all functions that have a folder here."""
        return listing.functions(self.root)

    def outcomes(self, function: str) -> dict[str, str]:
        """Key → "done", "failed" or "claimed" for everything of a function, from file names alone."""
        return listing.outcomes(self.root, function)

    # -- reading

    def read(self, function: str, key: str, outcome: str = "done") -> Record | None:
        """The record of a result, or None. A corrupt record is quarantined and counts as missing.

        Raises:
            CannotRead: the record is there and cannot be read now.
            UsageError: the record was written by a newer datajuicer, or the store cannot be read at all.
        """
        path = self._path(function, key, outcome)
        try:
            found = parse_record(read_start(path))
            record = found if isinstance(found, dict) else self._read_again(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            return self._nothing(error)
        except OSError:
            try:
                record = self._read_again(path)
            except (FileNotFoundError, NotADirectoryError) as error:
                return self._nothing(error)
            except OSError as error:
                raise cannot_read(path, error) from error
        if record is None:
            return None
        if record["format"] > FORMAT:
            raise UsageError(
                f"{path} was written by a newer datajuicer (format {record['format']}, this one knows "
                f"{FORMAT}): update datajuicer or name another store"
            )
        if record["key"] != key or record["function"] != function:
            reason = f"is the record of {record['function']}/{record['key']}"
            quarantine(self.root, path, reason, read_bytes(path))
            return None
        return record

    def peek(self, function: str, key: str) -> bytes | None:
        """The first bytes of the record of a result, unverified; None if they cannot be read."""
        try:
            return read_start(self._path(function, key, "done"))
        except OSError:
            return None

    def _nothing(self, error: OSError) -> None:
        if isinstance(error, NotADirectoryError) and not self.root.is_dir():
            raise UsageError(f"the store {self.root} is a file; name a folder (cache_dir=…)") from None

    def _read_again(self, path: str) -> Record | None:
        """Read a record that seemed damaged to its end, look again, and only then quarantine it."""
        data, reason = b"", ""
        for _ in looks(os.path.dirname(path), is_young(path)):
            data = retry(lambda: read_bytes(path))
            record = parse_record(data)
            if not isinstance(record, str):
                return record
            reason = record
        quarantine(self.root, path, reason, data)
        return None

    def value(self, record: Record, loader: Any = None) -> Any:
        """The value of a record, its files verified.

        If its files are not what the record says, but another result has taken its place by now, the value of
        that one.

        Returns:
            The value; or `MISSING` if a file of the record is gone or corrupt, or the record says what
            cannot be, which quarantines it.

        Raises:
            CannotRead: a file is there and cannot be read now.
        """
        try:
            return self._value(record, loader)
        except Damaged as error:
            return self._instead(record, f"it {error}", loader)

    def _value(self, record: Record, loader: Any) -> Any:
        content = record["value"]
        function, key = record["function"], record["key"]
        if type(content) is dict and "$files" in content:
            return self._loaded(record, content["$files"], loader)
        if loader is not None:
            raise UsageError(
                f"{function} has a loader now, but {key} was stored without; raise its version or remove the "
                "loader"
            )
        arrays: dict[str, Any] = {}
        if "arrays" in record:
            file = named_file(record["arrays"], True)
            path = member(self.folder_of(record), file.name)
            data = read_checked(path, file.size, file.sha256, self._is_young(record))
            if data is None:
                return self._instead(record, f"its arrays in {file.name} are missing or corrupt", loader)
            arrays = arrays_from_bytes(data)
        return values.decode(content, arrays, partial(self._artifact, record))

    def _artifact(self, record: Record, *entry: Any) -> values.Artifact:
        file = named_file(list(entry), False)
        gone = partial(self.quarantine_result, record["function"], record["key"], record["checksum"])
        return values.Artifact(file.name, file.sha256, file.size, self.folder_of(record), gone)

    def _loaded(self, record: Record, content: Any, loader: Any) -> Any:
        name, files = saved_files(content)
        folder = member(self.folder_of(record), name)
        if loader is None:
            raise UsageError(
                f"{folder} was written by a saver; give cachable the loader that reads it, as when it was "
                "computed"
            )
        young = self._is_young(record)
        for file in files:
            if not holds(member(folder, file.name), file.size, file.sha256, young):
                problem = f"its file {name}/{file.name} is missing or corrupt"
                return self._instead(record, problem, loader)
        return loader(folder)

    def _is_young(self, record: Record) -> bool:
        return is_young(self._path(record["function"], record["key"], "done"))

    def _instead(self, record: Record, problem: str, loader: Any) -> Any:
        """The value of the result that has replaced a record whose files are bad; else quarantine that."""
        function, key = record["function"], record["key"]
        now = self.read(function, key)
        if now is not None and now["checksum"] != record.get("checksum"):
            return self.value(now, loader)
        self.quarantine_result(function, key, record.get("checksum", ""), problem)
        return MISSING

    def records(self, function: str, outcome: str = "done") -> Iterator[Record]:
        """All records of a function, in the order of their keys; corrupt ones are quarantined and left
        out.
        """
        suffix = ".json" if outcome == "done" else ".failed.json"
        for name in listing.file_names(self.root, function):
            key, dot, rest = name.partition(".")
            if dot + rest == suffix and (record := self.read(function, key, outcome)) is not None:
                yield record

    def quarantine_result(self, function: str, key: str, checksum: str, reason: str) -> bool:
        """Quarantine the record with this checksum, whose files are missing or corrupt.

        Returns:
            Whether that record is still the one that counts. Another one stays where it is.
        """
        path = self.path(function, key)
        try:
            data = retry(lambda: read_bytes(path))
        except OSError:
            return False
        record = parse_record(data)
        if isinstance(record, str) or record["checksum"] != checksum:
            return False
        quarantine(self.root, path, f"is no result any more: {reason}", data)
        return True

    # -- writing

    def check_writable(self) -> None:
        """Raise a UsageError before anything is computed if results could not be kept."""
        probe = self.root / f".{unique()}.tmp"
        is_new = not self.root.exists()
        try:
            make_folder(self.root, self.root)
            probe.write_bytes(b"writable")
            probe.unlink()
            if is_new:
                with suppress(FileExistsError):  # another process made the store at the same time
                    write_file(self.root / ".gitignore", _GITIGNORE)
        except OSError as error:
            probe.unlink(missing_ok=True) if self.root.is_dir() else None
            raise UsageError(
                f"the store {self.root} cannot be written: {error}; fix that or name another"
            ) from error

    def write(self, record: Record, *, replace: bool = False) -> str:
        """Write a record whose artifacts are complete already.

        A finished result that is there already stays, unless `replace` is set: then its record is kept in its
        own folder, and the new one takes its name in one step.

        Returns:
            Nothing, or a sentence if the result that was there first is a different one.
        """
        function, key, outcome = record["function"], record["key"], record["outcome"]
        path = self.path(function, key, outcome)
        data = format_record(record)
        temporary = path.with_name(f"{key}.{unique()}.tmp")
        different = ""
        try:
            write_file(temporary, data, self.root)
            if outcome == "failed":
                os.replace(temporary, path)
            elif replace:
                self._keep_replaced(path, function, key)
                os.replace(temporary, path)
            else:
                different = self._write_first(temporary, path, record)
            sync_folders(path.parent, self.root)
        except OSError as error:
            raise cannot_write(path, len(data), error) from error
        finally:
            _remove(temporary)
        if outcome == "done" and not different:
            self._set_aside(self.path(function, key, "failed"), self.folder_of(record))
        return different

    def _write_first(self, temporary: Path, path: Path, record: Record) -> str:
        """Give a record its name unless another one has it; a sentence if that one differs."""
        try:
            os.link(temporary, path)  # fails where a rename would overwrite: the first one wins
        except FileExistsError:
            first = self.read(record["function"], record["key"])
            if first is not None:
                return difference(first, record)
            os.replace(temporary, path)  # what was there was corrupt and has just been quarantined
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            os.replace(temporary, path)  # a file system without hard links: the last one wins there
        return ""

    def _keep_replaced(self, path: Path, function: str, key: str) -> None:
        """Give the record that is about to be replaced a second name, in its own folder."""
        old = self.read(function, key)
        if old is None:
            return
        kept = self.folder_of(old) / f"replaced-{time.time_ns()}.json"
        make_folder(kept.parent, self.root)
        try:
            os.link(path, kept)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            write_file(kept, format_record(old))

    def _set_aside(self, failed: Path, folder: Path) -> None:
        """Move the record of a failure into the folder of the result that came after it."""
        if not failed.exists():
            return
        try:
            make_folder(folder, self.root)
            os.replace(failed, folder / f"failed-{time.time_ns()}.json")
        except OSError:
            return  # the result counts whatever lies beside it


def _absolute(root: str | os.PathLike[str]) -> Path:
    path = Path(root)
    try:
        return (path.expanduser() if path.parts[:1] and path.parts[0][0] == "~" else path).absolute()
    except (RuntimeError, OSError) as error:
        raise UsageError(f"the store {root} has no place: {error}; give its whole path") from error


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # a leftover that gc sweeps must not make a stored result look lost
