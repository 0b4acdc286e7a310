"""Copying results from one store to another: checked on the way, files first and records last.

A copy comes from somewhere else, so nothing in it is trusted: no name in a record leads out of the folder of
its result, and pickles, which can run any code when they are read, stay behind unless they are asked for.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datajuicer import keys
from datajuicer.errors import StoreWarning, UsageError
from datajuicer.store.disk import cannot_write, make_folder, sync_file, unique
from datajuicer.store.layers import check_is_there
from datajuicer.store.named import is_linked, is_pickled, member, named_files
from datajuicer.store.reading import file_digest
from datajuicer.store.record import LAYER, Damaged, Record, difference
from datajuicer.store.store import Store
from datajuicer.store.values import Artifact, decode


@dataclass(frozen=True)
class Copied:
    """What was carried over, as function/key."""

    new: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)  # there already with another value; that one stays
    without_files: list[str] = field(default_factory=list)  # left out, since files of theirs are missing
    pickled: list[str] = field(default_factory=list)  # left out, since their files are pickles
    not_renamed: list[str] = field(default_factory=list)  # left out, since their new key cannot be known


def copy_results(
    source: Store,
    target: Store,
    functions: Sequence[str] | None = None,
    *,
    pickles: bool = False,
    rename: Mapping[str, str] | None = None,
) -> Copied:
    """Copy the finished results of a store.

    Args:
        source: where from; with what lies below it.
        target: where to; what is there or below already stays.
        functions: only these; default: all.
        pickles: also results of `saver="pickle"`. Only from people whom you would let run code as you.
        rename: old name of a dependency → its new name, such as `{"lr": "learning_rate"}` or
            `{"model:lr": "model:learning_rate"}`; results that have the old one get the key that follows
            from the new one. It can be known where all dependencies are plain values.

    Raises:
        UsageError: there is no such store, the target cannot be written, or it leads elsewhere by a link.

    Example:
        >>> copied = copy_results(Store("old"), Store("new"), rename={"lr": "learning_rate"})
    """
    check_is_there(source.root, source.below)
    target.check_writable()
    copied = Copied()
    for function in source.functions() if functions is None else functions:
        for record in source.records(function):
            name = f"{function}/{record['key']}"
            try:
                moved = _renamed({k: v for k, v in record.items() if k != LAYER}, rename or {})
                place = _place(source, target, record, moved, pickles)
            except Damaged as error:
                source.quarantine_result(function, record["key"], record["checksum"], f"it {error}")
                continue
            getattr(copied, place).append(name)
    if copied.pickled:
        warnings.warn(
            f"{len(copied.pickled)} results were left out, since they are pickles, which can run any code "
            "when they are read; copy_results(…, pickles=True) copies them from people whom you trust",
            StoreWarning,
            stacklevel=2,
        )
    return copied


def _place(source: Store, target: Store, record: Record, moved: Record | None, pickles: bool) -> str:
    """Copy one result; return the list of `Copied` in which it belongs."""
    if moved is None:
        return "not_renamed"
    there = target.read(moved["function"], moved["key"])
    if there is not None:
        return "different" if difference(there, moved) else "same"
    if not pickles and is_pickled(record):
        return "pickled"
    if not _copy_files(source, target, record, moved):
        return "without_files"
    target.write(moved)
    return "new"


def _copy_files(source: Store, target: Store, record: Record, moved: Record) -> bool:
    """Copy the files of a result; return whether all that its value needs are there and whole."""
    start, end = source.folder_of(record), target.folder_of(moved)
    if is_linked(target.root, end / "any"):
        raise UsageError(f"{end} lies behind a link; copy to the store that it leads to, or remove the link")
    for file in named_files(record):
        path, copy = member(start, file.name), member(end, file.name)
        if not path.is_file():
            if file.needed:
                return False
            continue  # an artifact may be left behind; the record says so when somebody asks for it
        temporary = copy.with_name(f"{copy.name}.{unique()}.tmp")
        try:
            make_folder(copy.parent, target.root)
            shutil.copyfile(path, temporary)
            if file_digest(temporary) != file.sha256:
                return False
            sync_file(temporary)
            os.replace(temporary, copy)
        except OSError as error:
            raise cannot_write(copy, file.size, error) from error
        finally:
            temporary.unlink(missing_ok=True)
    return True


def _renamed(record: Record, names: Mapping[str, str]) -> Record | None:
    """Return a record with other names of dependencies and the key that follows; None if it cannot be known.

    A record holds descriptions of values, and keys are made of the values. Where the values can be had from
    the descriptions, they give the key that the record has.
    """
    if not record.get("dependencies", {}).keys() & names.keys():
        return record
    described = {names.get(name, name): value for name, value in record["dependencies"].items()}
    key = _key(record, described)
    if _key(record, record["dependencies"]) != record["key"] or key is None:
        return None
    moved = {**record, "dependencies": described, "key": key, "renamed": record["key"]}
    if "folder" in record:
        moved["folder"] = record["folder"].replace(record["key"], key, 1)
    return moved


def _key(record: Record, described: Mapping[str, Any]) -> str | None:
    try:
        values = {name: decode(tree, {}, Artifact) for name, tree in described.items()}
        return keys.result_key(record["function"], decode(record["version"], {}, Artifact), values)
    except (Damaged, UsageError):
        return None
