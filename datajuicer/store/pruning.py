"""Pruning: results that are not wanted any more are moved aside, whence they can come back.

What is pruned lies in `<store>/.pruned/<time>/` as it lay in the store. Nothing is deleted here: remove that
folder when nobody misses anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.store import claims, values
from datajuicer.store.disk import cannot_write, make_folder
from datajuicer.store.listing import PRUNED
from datajuicer.store.named import is_linked
from datajuicer.store.record import Record
from datajuicer.store.store import Store

_ANY: Any = object()


def prune(
    store: Store,
    *,
    function: str | None = None,
    version: Any = _ANY,
    older_than: float | None = None,
    failed: bool = False,
    replaced: bool = False,
    dry_run: bool = True,
) -> list[str]:
    """Move results aside that fit all of what is given.

    Args:
        store: the store; of one that lies over others, only what is in the first.
        function: only of this function, by its name in the store.
        version: only of this declared version.
        older_than: only what was started more than so many seconds ago.
        failed: records of failures instead of results.
        replaced: the files of results that were replaced, instead of results.
        dry_run: only list them.

    Returns:
        What fits, as function/key.

    Raises:
        UsageError: nothing was given, which would be everything; or something cannot be moved.

    Example:
        >>> prune(Store("no_such_store"), function="train", version=1)
        []
    """
    if function is None and version is _ANY and older_than is None and not failed and not replaced:
        raise UsageError(
            "prune needs something to choose by, or it would take everything: function=…, version=…, "
            "older_than=…, failed=True or replaced=True"
        )
    found: list[str] = []
    store = Store(store.root)  # what lies below is only read
    target = store.root / PRUNED / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    for name in store.functions() if function is None else [function]:
        for record in store.records(name, "failed" if failed else "done"):
            key = record["key"]
            if not _fits(record, version, older_than) or claims.is_claimed(store, name, key):
                continue
            paths = list(_replaced(store, record) if replaced else _parts(store, record))
            if not paths or any(is_linked(store.root, path) for path in paths):
                continue
            found.append(f"{name}/{key}")
            for path in paths if not dry_run else ():
                _move(path, target / path.relative_to(store.root), store.root)
    return found


def restore(store: Store, folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Bring back what was pruned, unless something else has its name by now; that stays aside.

    Args:
        store: the store.
        folder: one of the folders in `<store>/.pruned/`; default: the latest.

    Returns:
        What came back, as function/key.

    Raises:
        UsageError: there is no such folder, or something cannot be moved.
    """
    above = store.root / PRUNED
    latest = max((path.name for path in above.glob("*")), default="")
    place = above / (Path(folder).name if folder is not None else latest)
    if place == above or not place.is_dir():
        raise UsageError(f"there is nothing to restore in {place}; it is one of the folders in {above}")
    found: dict[str, None] = {}
    # folders first: a record says that all its files are there
    for path in sorted(place.glob("*/??/*"), key=lambda path: (path.is_file(), path)):
        there = store.root / path.relative_to(place)
        if not os.path.lexists(there):
            _move(path, there, store.root)
            found[f"{path.parts[-3]}/{path.name.partition('.')[0]}"] = None
    for empty in (*place.glob("*/??"), *place.glob("*"), place):
        if not any(empty.iterdir()):
            empty.rmdir()
    return list(found)


def _fits(record: Record, version: Any, older_than: float | None) -> bool:
    if version is not _ANY and record.get("version") != values.describe(version):
        return False
    if older_than is None:
        return True
    return time.time() - datetime.fromisoformat(record["started"]).timestamp() > older_than


def _parts(store: Store, record: Record) -> Iterator[Path]:
    """Yield the record, and for a result the folders of its key; those of a failure may hold a checkpoint."""
    yield store.path(record["function"], record["key"], record["outcome"])
    if record["outcome"] == "done":
        yield from _folders(store, record)


def _replaced(store: Store, record: Record) -> Iterator[Path]:
    """Yield the folders of a key that hold only results that this record has replaced."""
    for folder in _folders(store, record):
        if folder != store.folder_of(record) and any(folder.glob("replaced-*.json")):
            yield folder


def _folders(store: Store, record: Record) -> Iterator[Path]:
    plain = store.folder(record["function"], record["key"])
    for folder in (plain, *sorted(plain.parent.glob(f"{plain.name}.run-*"))):
        if folder.is_dir():
            yield folder


def _move(path: Path, target: Path, root: Path) -> None:
    try:
        make_folder(target.parent, root)
        os.rename(path, target)
    except OSError as error:
        raise cannot_write(target, None, error) from error
