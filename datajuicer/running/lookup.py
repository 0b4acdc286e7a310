"""Look-up: which points of a run have a result in the store, which failed before, and which are pending."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from datajuicer.errors import Failure, StoreWarning, UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.plan import Call
from datajuicer.running.results import Results
from datajuicer.running.status import code_differs, is_current
from datajuicer.store.pickled import load_pickle
from datajuicer.store.reading import CannotRead
from datajuicer.store.record import Record
from datajuicer.store.replacing import replace_any
from datajuicer.store.store import LOG, MISSING, Store

RunMode = Literal["normal", "force", "load", "load_any", "retry"]


def look_up(store: Store, calls: Sequence[Call], mode: RunMode) -> Results:
    """Return what the store has for these calls; the rest is in `pending`."""
    values: dict[int, Any] = {}
    failures: list[Failure] = []
    pending: list[Call] = []
    warned: set[str] = set()
    forced = replace_any() if mode == "force" else None
    for call in calls:
        match _look_up_one(store, call, mode, warned, forced):
            case Failure() as failure:
                failures.append(failure)
            case Call() as again:
                pending.append(again)
            case found:
                values.update(found)
    return Results(values, tuple(failures), tuple(pending))


def _look_up_one(
    store: Store, call: Call, mode: RunMode, warned: set[str], forced: str | None
) -> dict[int, Any] | Failure | Call:
    function = call.function
    if not isinstance(function, Cachable):
        return call
    assert call.key is not None
    if forced is not None:
        return replace(call, replaces=forced)
    try:
        record = store.read(function.table_name, call.key)
        if record is None:
            failed = store.read(function.table_name, call.key, "failed") if mode == "normal" else None
            return call if failed is None else recorded_failure(store, call, failed)
        if not _is_usable(store, function, record, warned, mode):
            return replace(call, replaces=record["started"])
        values = load_values(store, call, record)
    except Exception as error:
        if isinstance(error, UsageError) and not isinstance(error, CannotRead):
            raise  # nothing is computed yet
        return unreadable(store, call, error)
    return call if values is None else values


def _is_usable(store: Store, function: Cachable, record: Record, warned: set[str], mode: RunMode) -> bool:
    if not is_current(store, function, record, recompute=mode in ("normal", "retry")):
        return False
    if (
        function.on_code_change != "ignore"
        and code_differs(function, record)
        and function.table_name not in warned
    ):
        warned.add(function.table_name)
        warnings.warn(
            f"the source of {function.table_name} has changed since some of its results were computed; they "
            "are used all the same. Give cachable a new version=… if they are wrong now, or "
            "on_code_change='recompute' or 'ignore'",
            StoreWarning,
            stacklevel=5,
        )
    return True


def load_values(store: Store, call: Call, record: Record) -> dict[int, Any] | None:
    """Return the value of a record for each point of a call, None if its artifacts are missing or corrupt.

    Points that share a result get equal values, not the same object.
    """
    function = call.function
    assert isinstance(function, Cachable)
    loader = partial(load_pickle, store.root) if function.loader == "pickle" else function.loader
    values = {}
    for index in call.indices:
        value = store.value(record, loader)
        if value is MISSING:
            return None
        values[index] = value
    return values


def unreadable(store: Store, call: Call, error: Exception) -> Failure:
    """Return the failure of a point whose loader or checker raised; the stored result stays as it is."""
    reason = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(error))
    return failure_of(store, call, f"its result cannot be read: {reason}", text, recorded=False)


def recorded_failure(store: Store, call: Call, record: Record) -> Failure:
    """Return a failure that an earlier run recorded."""
    folder = store.folder_of(record)
    return failure_of(store, call, record["error"], record["traceback"], recorded=True, folder=folder)


def failure_of(
    store: Store, call: Call, error: str, traceback: str, *, recorded: bool, folder: Path | None = None
) -> Failure:
    """Return the failure of a point without a result, with the path of its log if there is one."""
    log = None
    if isinstance(call.function, Cachable) and call.key is not None:
        path = (folder or store.folder(call.function.table_name, call.key)) / LOG
        log = str(path) if path.is_file() else None
    return Failure(call.indices, call.point, error, traceback, recorded, log)
