"""The store: one record file a result, and nothing else is the truth.

::

    sessions/<function>/<first two of key>/<key>.json         the record of a finished result, its only proof
    sessions/<function>/<first two of key>/<key>.failed.json  the record of a failure
    sessions/<function>/<first two of key>/<key>/             artifacts, checkpoints, log.txt
    sessions/<function>/<first two of key>/<key>.claim.<n>    somebody computes this now (see claims.py)
    sessions/quarantine/                                      what turned out corrupt, each with its reason
    sessions/campaigns/                                       what was sent to clusters (launch/campaign.py)

Artifacts are complete and on the disk before the record appears, and the record appears in one step, so a
reader sees a whole result or none. Whoever comes first wins; nothing is deleted and nothing is evicted.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datajuicer.errors import StoreWarning, UsageError
from datajuicer.store import values
from datajuicer.store.disk import (
    cannot_write,
    is_full,
    make_folder,
    sync_file,
    sync_folder,
    unique,
    write_file,
)
from datajuicer.store.record import FORMAT, Record, difference, format_record, parse_record

QUARANTINE = "quarantine"
CAMPAIGNS = "campaigns"  # what was sent to clusters; see launch/campaign.py
LOG = "log.txt"

MISSING: Any = object()  # stands for a value whose artifacts are gone

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Store:
    """The results in one folder. Opening one reads and writes nothing."""

    root: Path

    def __init__(self, root: str | os.PathLike[str] = "sessions"):
        object.__setattr__(self, "root", Path(root))

    # -- where things lie
    # ---------------------------------------------------------------------------------------

    def folder(self, function: str, key: str) -> Path:
        """The folder of a result's artifacts and checkpoints."""
        return self.root / function / key[:2] / key

    def path(self, function: str, key: str, outcome: str = "done") -> Path:
        """The file of a record."""
        return Path(self._path(function, key, outcome))

    def _path(self, function: str, key: str, outcome: str) -> str:
        # plain text: making Path objects would cost more than reading the record
        suffix = ".json" if outcome == "done" else ".failed.json"
        return f"{self.root}/{function}/{key[:2]}/{key}{suffix}"

    def functions(self) -> list[str]:
        """The names of all functions that have a folder here."""
        if not self.root.is_dir():
            return []
        return sorted(
            p.name
            for p in self.root.iterdir()
            if p.is_dir() and p.name not in (QUARANTINE, CAMPAIGNS) and p.name[0] != "."
        )

    def outcomes(self, function: str) -> dict[str, str]:
        """Key → "done", "failed" or "claimed" for everything of a function, from the names of the files
        alone.
        """
        found: dict[str, str] = {}
        rank = {"failed": 0, "claimed": 1, "done": 2}
        for entry in self._entries(function):
            key, _, suffix = entry.name.partition(".")
            outcome = {"json": "done", "failed.json": "failed"}.get(suffix)
            if outcome is None and suffix.startswith("claim."):
                outcome = "claimed"
            if outcome and rank[outcome] >= rank.get(found.get(key, ""), -1):
                found[key] = outcome
        return found

    def _entries(self, function: str) -> Iterator[os.DirEntry[str]]:
        try:
            shelves = [
                e.path for e in os.scandir(self.root / function) if len(e.name) == 2 and set(e.name) <= _HEX
            ]
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(
                f"the store {self.root} cannot be read: {error}; mend its permissions or name another"
            ) from error
        for shelf in sorted(shelves):
            with os.scandir(shelf) as entries:
                yield from entries

    # -- reading
    # ------------------------------------------------------------------------------------------------

    def read(self, function: str, key: str, outcome: str = "done") -> Record | None:
        """The record of a result, or None. A corrupt record is quarantined and counts as missing.

        Raises:
            UsageError: the record was written by a newer datajuicer, or the store cannot be read at all.
        """
        path = self._path(function, key, outcome)
        try:
            file = os.open(path, os.O_RDONLY)
            try:
                data = os.read(file, 1 << 16)
                while len(data) >= 1 << 16 and (more := os.read(file, 1 << 24)):
                    data += more
            finally:
                os.close(file)
        except (FileNotFoundError, NotADirectoryError) as error:
            if isinstance(error, NotADirectoryError) and not self.root.is_dir():
                raise UsageError(f"the store {self.root} is a file; name a folder (cache_dir=…)") from None
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # the disk itself is damaged there
                self.quarantine(path, f"cannot be read: {error}")
                return None
            raise UsageError(
                f"{path} cannot be read: {error}; mend its permissions or name another store"
            ) from error
        record = parse_record(data)
        if isinstance(record, str):
            self.quarantine(path, record)
            return None
        if record["format"] > FORMAT:
            raise UsageError(
                f"{path} was written by a newer datajuicer (format {record['format']}, this one knows "
                f"{FORMAT}): update datajuicer or name another store"
            )
        if record["key"] != key or record["function"] != function:
            self.quarantine(path, f"is the record of {record['function']}/{record['key']}")
            return None
        return record

    def value(self, record: Record, loader: Any = None) -> Any:
        """The value of a record, its arrays verified.

        Returns:
            The value; or `MISSING` if an artifact of the record is gone or corrupt, which quarantines the
            record.
        """
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
            name, sha256, size = record["arrays"]
            path = self.folder(function, key) / name
            data = path.read_bytes() if path.is_file() else b""
            if len(data) != size or values.bytes_digest(data) != sha256:
                self.quarantine_result(function, key, f"its arrays in {name} are missing or corrupt")
                return MISSING
            arrays = values.arrays_from_bytes(data)
        return values.decode(content, arrays, partial(self._artifact, function, key))

    def _artifact(self, function: str, key: str, filename: str, sha256: str, size: int) -> values.Artifact:
        gone = partial(self.quarantine_result, function, key)
        return values.Artifact(filename, sha256, size, self.folder(function, key), gone)

    def _loaded(self, record: Record, files: dict[str, Any], loader: Any) -> Any:
        function, key = record["function"], record["key"]
        folder = self.folder(function, key) / files["folder"]
        if loader is None:
            raise UsageError(
                f"{folder} was written by a saver; give cachable the loader that reads it, as when it was "
                "computed"
            )
        for name, (sha256, size) in files["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size or values.file_digest(path) != sha256:
                self.quarantine_result(
                    function, key, f"its file {files['folder']}/{name} is missing or corrupt"
                )
                return MISSING
        return loader(folder)

    def records(self, function: str, outcome: str = "done") -> Iterator[Record]:
        """All records of a function, in the order of their keys; corrupt ones are quarantined and left
        out.
        """
        suffix = ".json" if outcome == "done" else ".failed.json"
        for entry in self._entries(function):
            key, dot, rest = entry.name.partition(".")
            if dot + rest == suffix and (record := self.read(function, key, outcome)) is not None:
                yield record

    # -- writing
    # ------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Say before anything is computed that results could not be kept."""
        probe = self.root / f".{unique()}.tmp"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"writable")
            probe.unlink()
        except OSError as error:
            probe.unlink(missing_ok=True) if self.root.is_dir() else None
            raise UsageError(
                f"the store {self.root} cannot be written: {error}; mend that or name another"
            ) from error

    def write(self, record: Record, *, replace: bool = False) -> str:
        """Write a record whose artifacts are complete already.

        A finished result that is there already stays, unless `replace` is set.

        Returns:
            Nothing, or a sentence if the result that was there first is a different one.
        """
        function, key, outcome = record["function"], record["key"], record["outcome"]
        path = self.path(function, key, outcome)
        data = format_record(record)
        temporary = path.with_name(f"{key}.{unique()}.tmp")
        try:
            write_file(temporary, data)
            if outcome == "failed" or replace:
                os.replace(temporary, path)
            else:
                try:
                    os.link(temporary, path)  # fails where a rename would overwrite: the first one wins
                except FileExistsError:
                    first = self.read(function, key)
                    if first is not None:
                        return difference(first, record)
                    os.replace(temporary, path)  # what was there was corrupt and has just been quarantined
                except OSError as error:
                    if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                        raise
                    os.replace(temporary, path)  # a file system without hard links: the last one wins there
        except OSError as error:
            raise cannot_write(path, len(data), error) from error
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
        if outcome == "done":
            self._set_aside(self.path(function, key, "failed"))
        return ""

    def write_artifact(
        self, function: str, key: str, stem: str, suffix: str, data: bytes
    ) -> tuple[str, str, int]:
        """Write bytes under a name that holds their digest, so that no other result's file is ever
        overwritten.

        Returns:
            File name, SHA-256 and size.
        """
        sha256 = values.bytes_digest(data)
        name = f"{stem}-{sha256[:16]}{suffix}"
        path = self.folder(function, key) / name
        temporary = path.with_name(f"{name}.{unique()}.tmp")
        try:
            write_file(temporary, data)
            os.replace(temporary, path)
        except OSError as error:
            raise cannot_write(path, len(data), error) from error
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
        return name, sha256, len(data)

    def write_files(self, function: str, key: str, saver: Any, value: Any) -> Record:
        """Let a saver write a value's files into a fresh folder; the "value" of the record that lists
        them.

        Raises:
            StoreFull: there is no room. What else the saver raises passes through.
        """
        name = f"value-{uuid.uuid4().hex[:16]}"
        target = self.folder(function, key) / name
        temporary = target.with_name(f"{name}.{unique()}.tmp")
        try:
            make_folder(temporary)
            saver(temporary, value)
            files = {}
            for path in sorted(p for p in temporary.rglob("*") if p.is_file()):
                sync_file(path)
                files[path.relative_to(temporary).as_posix()] = [
                    values.file_digest(path),
                    path.stat().st_size,
                ]
            for folder in (*(p for p in temporary.rglob("*") if p.is_dir()), temporary):
                sync_folder(folder)
            os.rename(temporary, target)
        except OSError as error:
            if is_full(error):
                raise cannot_write(target, None, error) from error
            raise  # a fault of the saver, which is no reason to give up the other points
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(target.parent)
        return {"$files": {"folder": name, "files": files}}

    def archive(self, function: str, key: str) -> None:
        """Set a result and its folder aside, so that it can be computed from the start; nothing is
        deleted.
        """
        done, failed = self.path(function, key), self.path(function, key, "failed")
        if not (done.exists() or failed.exists() or self.folder(function, key).exists()):
            return
        folder = self.folder(function, key)
        folder.mkdir(parents=True, exist_ok=True)
        for path in (done, failed):  # records first: none must ever stand without its files
            if path.exists():
                os.rename(path, folder / path.name)
        os.rename(folder, done.with_name(f"{key}.replaced-{time.time_ns()}"))

    def _set_aside(self, path: Path) -> None:
        if path.exists():
            function, key = path.parent.parent.name, path.name.partition(".")[0]
            folder = self.folder(function, key)
            folder.mkdir(exist_ok=True)
            os.replace(path, folder / f"failed-{time.time_ns()}.json")

    # -- quarantine
    # ---------------------------------------------------------------------------------------------

    def quarantine(self, path: str | Path, reason: str) -> None:
        """Move a corrupt file out of the way, with the reason beside it, and say so once. Never raises, never
        deletes.
        """
        path = Path(path)
        target = self.root / QUARANTINE / f"{path.parent.parent.name}-{path.name}.{time.time_ns()}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
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

    def quarantine_result(self, function: str, key: str, reason: str) -> None:
        """Quarantine the record of a result whose artifacts are missing or corrupt."""
        self.quarantine(self.path(function, key), f"is no result any more: {reason}")
