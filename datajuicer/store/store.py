"""The store: one record file per result, and nothing else is the truth.

::

    sessions/<function>/<first two of key>/<key>.json         the record of a finished result, its only proof
    sessions/<function>/<first two of key>/<key>.failed.json  the record of a failure
    sessions/<function>/<first two of key>/<key>/             artifacts, checkpoints, log.txt
    sessions/<function>/<first two of key>/<key>.run-<id>/    the same, of a result that replaced another
    sessions/<function>/<first two of key>/<key>.claim.<n>    somebody computes this now (see claims.py)
    sessions/<function>/<first two of key>/<key>.hidden.<sum> a damaged result in a store below (layers.py)
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
import functools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store import layers, listing, values
from datajuicer.store.arrays import arrays_from_bytes
from datajuicer.store.default import DEFAULT
from datajuicer.store.disk import (
    absolute_place,
    cannot_write,
    make_folder,
    remove_leftover,
    sync_folders,
    unique,
    write_file,
)
from datajuicer.store.folder_records import read_record, record_path
from datajuicer.store.named import member, named_file, saved_files
from datajuicer.store.quarantine import quarantine
from datajuicer.store.reading import holds, is_young, read_bytes, read_checked, read_start, retry
from datajuicer.store.record import LAYER, Damaged, Record, difference, format_record, parse_record

LOG = "log.txt"

_GITIGNORE = b"# Results of datajuicer; remove this file to put them under version control.\n*\n"

MISSING: Any = object()  # stands for a value whose artifacts are gone


@dataclass(frozen=True)
class Store:
    """The results in one folder, or in several that lie one over the other. Opening one writes nothing.

    What the first folder does not have is read from those below; only the first is written to. Folders are
    made absolute here and now, since the working directory may change at any time.

    Example:
        >>> store = Store("mine")
        >>> Store(store) == store
        True
    """

    root: Path
    below: tuple[Path, ...]

    def __init__(self, root: StoreLike | None = None, below: StoreLike | Sequence[StoreLike] = ()):
        """Open a store.

        Args:
            root: the folder that is written to; or a store, which stays what it is; default: `sessions/`.
            below: a folder that is only read, or several, the upper ones first; or stores, with what lies
                below them.

        Raises:
            UsageError: one of those below is no folder, or is the first one itself.
        """
        first, *inner = _roots(DEFAULT.get() if root is None else root)
        is_one = isinstance(below, str | os.PathLike | Store)
        lower = [place for one in ([below] if is_one else below) for place in _roots(one)]
        for place in lower:
            layers.check_below(first, place)
        object.__setattr__(self, "root", first)
        object.__setattr__(self, "below", tuple(dict.fromkeys([*inner, *lower])))

    # -- where things lie

    def folder(self, function: str, key: str, run: str = "") -> Path:
        """The folder of a result's artifacts and checkpoints; `run`: the id of one that replaces another."""
        return self.root / function / key[:2] / (f"{key}.run-{run}" if run else key)

    def folder_of(self, record: Record) -> Path:
        """The folder of the files that a record names, in the store from which it was read."""
        key = record["key"]
        return self.root_of(record) / record["function"] / key[:2] / record.get("folder", key)

    def root_of(self, record: Record) -> Path:
        """The root of the store from which a record was read."""
        return Path(record[LAYER]) if LAYER in record else self.root

    def path(self, function: str, key: str, outcome: str = "done") -> Path:
        """The file of a record in the first store; whether there is one is said by `has`."""
        return Path(record_path(self.root, function, key, outcome))

    def functions(self) -> list[str]:
        """The names of all functions that have a folder here."""
        return sorted({name for root in (self.root, *self.below) for name in listing.functions(root)})

    def outcomes(self, function: str) -> dict[str, str]:
        """Key → "done", "failed" or "claimed" for everything of a function, from file names alone."""
        found = listing.outcomes(self.root, function)
        if not self.below:
            return found
        hidden = layers.hidden_keys(self.root, function)
        for root in self.below:
            for key, outcome in listing.outcomes(root, function, claims=False).items():
                if listing.counts_before(outcome, found.get(key)) and (
                    key not in hidden or self._read_below(function, key, outcome) is not None
                ):
                    found[key] = outcome
        return found

    # -- reading

    def has(self, function: str, key: str, outcome: str = "done") -> bool:
        """Whether there is a record. One below must be sound, since it cannot be moved out of the way."""
        if os.path.exists(record_path(self.root, function, key, outcome)):
            return True
        return bool(self.below) and self._read_below(function, key, outcome) is not None

    def read(self, function: str, key: str, outcome: str = "done") -> Record | None:
        """The record of a result, or None. A corrupt record is quarantined and counts as missing.

        Raises:
            CannotRead: the record is there and cannot be read now.
            UsageError: the record was written by a newer datajuicer, or the store cannot be read at all.
        """
        record = read_record(self.root, function, key, outcome, self._condemn)
        return self._read_below(function, key, outcome) if record is None and self.below else record

    def _read_below(self, function: str, key: str, outcome: str) -> Record | None:
        is_hidden = functools.partial(layers.is_hidden, self.root, function, key)
        for root in self.below:
            record = read_record(root, function, key, outcome, self._condemn, is_hidden)
            if record is not None and not is_hidden(record):
                record[LAYER] = str(root)
                return record
        return None

    def peek(self, function: str, key: str) -> bytes | None:
        """The first bytes of the record of a result, unverified; None if they cannot be read."""
        for folder in self._folders:
            try:
                return read_start(record_path(folder, function, key))
            except OSError:
                continue
        return None

    @functools.cached_property
    def _folders(self) -> tuple[str, ...]:
        return tuple(map(str, (self.root, *self.below)))

    def _condemn(self, root: Path, path: str | Path, reason: str, bad: bytes) -> None:
        """Have a record with this content count as missing: moved away if it is ours, else noted here."""
        if root == self.root:
            quarantine(root, path, reason, bad)
        else:
            with suppress(OSError):  # said where the note cannot be written
                self._make_root()
            layers.hide(self.root, path, reason, bad)

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
        return values.decode(content, arrays, functools.partial(self._artifact, record))

    def _artifact(self, record: Record, *entry: Any) -> values.Artifact:
        file = named_file(list(entry), False)
        gone = functools.partial(
            self.quarantine_result, record["function"], record["key"], record["checksum"]
        )
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
        return is_young(record_path(self.root_of(record), record["function"], record["key"], "done"))

    def _instead(self, record: Record, problem: str, loader: Any) -> Any:
        """The value of the result that counts instead of a record whose files are bad, which is quarantined.

        It has taken that one's place by now, or lies in a store below.
        """
        function, key = record["function"], record["key"]
        now = self.read(function, key)
        if now is not None and _is_same(now, record):
            self.quarantine_result(function, key, record.get("checksum", ""), problem)
            now = self.read(function, key)
        if now is None or _is_same(now, record):
            return MISSING
        return self.value(now, loader)

    def records(self, function: str, outcome: str = "done") -> Iterator[Record]:
        """All records of a function, in the order of their keys; corrupt ones are quarantined and left
        out.
        """
        suffix = ".json" if outcome == "done" else ".failed.json"
        names: Iterable[str] = listing.file_names(self.root, function)
        if self.below:
            lower = (name for root in self.below for name in listing.file_names(root, function))
            names = sorted({*names, *lower})
        for name in names:
            key, dot, rest = name.partition(".")
            if dot + rest == suffix and (record := self.read(function, key, outcome)) is not None:
                yield record

    def quarantine_result(self, function: str, key: str, checksum: str, reason: str) -> bool:
        """Quarantine the record with this checksum, whose files are missing or corrupt.

        Returns:
            Whether that record is still the one that counts. Another one stays where it is.
        """
        for root in (self.root, *self.below):
            path = record_path(root, function, key, "done")
            try:
                data = retry(functools.partial(read_bytes, path))
            except OSError:
                continue
            record = parse_record(data)
            if isinstance(record, str):
                continue
            if record["checksum"] == checksum:
                self._condemn(root, path, f"is no result any more: {reason}", data)
                return True
            if root == self.root or not layers.is_hidden(self.root, function, key, record):
                return False
        return False

    # -- writing

    def check_writable(self) -> None:
        """Raise a UsageError before anything is computed if results could not be kept."""
        probe = self.root / f".{unique()}.tmp"
        try:
            self._make_root()
            probe.write_bytes(b"writable")
            probe.unlink()
        except OSError as error:
            probe.unlink(missing_ok=True) if self.root.is_dir() else None
            raise UsageError(
                f"the store {self.root} cannot be written: {error}; fix that or name another"
            ) from error

    def _make_root(self) -> None:
        is_new = not self.root.exists()
        make_folder(self.root, self.root)
        if is_new:
            with suppress(FileExistsError):  # another process made the store at the same time
                write_file(self.root / ".gitignore", _GITIGNORE)

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
            remove_leftover(temporary)
        if outcome == "done" and not different:
            self._set_aside(self.path(function, key, "failed"), self.folder_of(record))
        return different

    def _write_first(self, temporary: Path, path: Path, record: Record) -> str:
        """Give a record its name unless another one has it; a sentence if that one differs."""
        try:
            os.link(temporary, path)  # fails where a rename would overwrite: the first one wins
        except FileExistsError:
            first = read_record(self.root, record["function"], record["key"], "done", self._condemn)
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
        old = read_record(self.root, function, key, "done", self._condemn)
        if old is None:  # or it lies below, where it stays
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


StoreLike = str | os.PathLike[str] | Store


def _is_same(one: Record, other: Record) -> bool:
    return one["checksum"] == other.get("checksum") and one.get(LAYER) == other.get(LAYER)


def _roots(store: StoreLike) -> tuple[Path, ...]:
    return (store.root, *store.below) if isinstance(store, Store) else (absolute_place(store),)
