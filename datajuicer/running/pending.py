"""Pending calls: compute them and return what came of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from datajuicer.errors import Failure, StoreWarning
from datajuicer.running.cachable import Cachable
from datajuicer.running.lookup import failure_of, load_values, unreadable
from datajuicer.running.omitted import differing
from datajuicer.running.options import RunOptions
from datajuicer.running.plan import Call
from datajuicer.running.results import Outcome, Result, Results
from datajuicer.running.schedule import compute_all
from datajuicer.store.store import Store


def compute_pending(
    store: Store, keep: Store | None, pending: Sequence[Call], options: RunOptions
) -> Results:
    """Compute pending calls and return their values and failures.

    Args:
        store: where logs and records of failures are.
        keep: where results are stored; None: nowhere.
        pending: the calls.
        options: how they are made.
    """
    values: dict[int, Any] = {}
    failures: list[Failure] = []
    cause: BaseException | None = None
    undeclared: dict[str, None] = {}
    warned: set[str] = set()
    # closed here and now whatever happens: it holds signal handlers and worker processes
    with closing(compute_all(keep, pending, options)) as results:
        for place, result in results:
            call = pending[place]
            for text in result.warnings:
                if text not in warned:
                    warnings.warn(text, StoreWarning, stacklevel=3)
            warned.update(result.warnings)
            undeclared.update(dict.fromkeys(f"{call.name} reads {name}" for name in result.undeclared))
            found = _values_or_failure(store, keep, call, result)
            if isinstance(found, Failure):
                failures.append(found)
                if result.value is not None:  # it could not be stored, but is not lost
                    values |= dict.fromkeys(call.indices, result.value)
                cause = cause or result.exception
            else:
                values.update(found)
    if undeclared:
        warnings.warn(
            f"not declared as a dependency: {'; '.join(undeclared)}. Results with other values of these "
            "would be taken for the same",
            StoreWarning,
            stacklevel=3,
        )
    return Results(values, tuple(failures), (), cause)


def _values_or_failure(
    store: Store, keep: Store | None, call: Call, result: Result
) -> Mapping[int, Any] | Failure:
    where = keep if isinstance(call.function, Cachable) else None
    if result.outcome is Outcome.DONE:
        return dict.fromkeys(call.indices, result.value) if where is None else _load(where, call)
    error, traceback = result.error, result.traceback
    if result.outcome is Outcome.FAILED and not error and where is not None:
        # another process recorded it
        record = where.read(call.name, call.id, "failed") or {}
        error, traceback = record.get("error", "failed in another process"), record.get("traceback", "")
    return failure_of(store, call, error, traceback, recorded=result.outcome is Outcome.FAILED)


def _load(store: Store, call: Call) -> Mapping[int, Any] | Failure:
    record = store.read(call.name, call.id)
    assert isinstance(call.function, Cachable)
    if record is not None and differing(call.function, call.omitted, call.dependencies, record):
        error = "another function of this name, or with other defaults, was computed just now; run again"
        return failure_of(store, call, error, "", recorded=False)
    try:
        values = None if record is None else load_values(store, call, record)
    except Exception as error:
        return unreadable(store, call, error)
    if values is None:
        error = "the result was computed, but is not in the store any more"
        return failure_of(store, call, error, "", recorded=False)
    return values
