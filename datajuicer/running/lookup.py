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
from datajuicer.running.code.provenance import Codes, shown
from datajuicer.running.plan import Call
from datajuicer.running.results import Results
from datajuicer.running.settling import Settled, settle
from datajuicer.running.status import is_current
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
    codes = Codes()
    changed: dict[str, dict[str, None]] = {}  # by function: what is other code by now
    forced = replace_any() if mode == "force" else None
    settled = Settled()
    for call in calls:
        match _look_up_one(store, call, mode, forced, codes, changed, settled):
            case Failure() as failure:
                failures.append(failure)
            case Call() as again:
                pending.append(again)
            case found:
                values.update(found)
    for name, names in changed.items():
        warnings.warn(
            f"the source of {name} has changed since some of its results were computed (changed: "
            f"{shown(list(names))}); they are used all the same. Give cachable a new version=… if they are "
            "wrong now, or on_code_change='recompute' or 'ignore'",
            StoreWarning,
            stacklevel=3,
        )
    return Results(values, tuple(failures), tuple(pending))


def _look_up_one(
    store: Store,
    call: Call,
    mode: RunMode,
    forced: str | None,
    codes: Codes,
    changed: dict[str, dict[str, None]],
    settled: Settled,
) -> dict[int, Any] | Failure | Call:
    function = call.function
    if not isinstance(function, Cachable):
        return call
    recompute = mode in ("normal", "retry")
    try:
        call, record = settle(store, call, settled)
        if forced is not None:
            return replace(call, replaces=forced)
        if record is None:
            return _look_up_failure(store, call, function, codes) if mode == "normal" else call
        if not is_current(store, function, call.arguments, record, codes, recompute=recompute):
            return _replace_or_tell(store, call, record, mode, codes)
        if names := codes.changes(function, call.arguments, record):
            changed.setdefault(call.name, {}).update(dict.fromkeys(names))
        values = load_values(store, call, record)
    except Exception as error:
        if isinstance(error, UsageError) and not isinstance(error, CannotRead):
            raise  # nothing is computed yet
        return unreadable(store, call, error)
    return call if values is None else values


def _replace_or_tell(store: Store, call: Call, record: Record, mode: RunMode, codes: Codes) -> Failure | Call:
    """Return the call that replaces a result; or the failure of such a call, if the code is the same still.

    The result that was to be replaced stays, and `run_mode="load"` returns it with a warning.
    """
    function = call.function
    assert isinstance(function, Cachable)
    again = replace(call, replaces=record["started"])
    if mode != "normal" or not codes.changes(function, call.arguments, record):
        return again
    failed = store.read(call.name, call.id, "failed")
    if failed is None or codes.changes(function, call.arguments, failed):
        return again
    failure = recorded_failure(store, call, failed, ())
    stays = f"{failure.error} (the result of earlier code stays: run_mode='load' returns it)"
    return replace(failure, error=stays)


def _look_up_failure(store: Store, call: Call, function: Cachable, codes: Codes) -> Failure | Call:
    failed = store.read(function.table_name, call.id, "failed")
    if failed is None:
        return call
    if codes.asks_for_retry(function, call.arguments, failed):
        return replace(call, replaces=failed["started"])
    return recorded_failure(store, call, failed, codes.changes(function, call.arguments, failed))


def load_values(store: Store, call: Call, record: Record) -> dict[int, Any] | None:
    """Return the value of a record for each point of a call, None if its artifacts are missing or corrupt.

    Points that share a result get equal values, not the same object.
    """
    function = call.function
    assert isinstance(function, Cachable)
    loader = partial(load_pickle, store.root_of(record)) if function.loader == "pickle" else function.loader
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


def recorded_failure(store: Store, call: Call, record: Record, changed: Sequence[str]) -> Failure:
    """Return a failure that an earlier run recorded; `changed` names what is other code by now."""
    error = record["error"]
    if changed:
        error += f" (a failure of earlier code; since then changed: {shown(changed)})"
    folder = store.folder_of(record)
    return failure_of(store, call, error, record["traceback"], recorded=True, folder=folder)


def failure_of(
    store: Store, call: Call, error: str, traceback: str, *, recorded: bool, folder: Path | None = None
) -> Failure:
    """Return the failure of a point without a result, with the path of its log if there is one."""
    log = None
    if isinstance(call.function, Cachable) and call.key is not None:
        path = (folder or store.folder(call.function.table_name, call.key)) / LOG
        log = str(path) if path.is_file() else None
    return Failure(call.indices, call.point, error, traceback, recorded, log)
