"""Looking up: which points of a run the store has, which have failed before, and which are to be computed."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from datajuicer.errors import Failure, StoreWarning, UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.plan import Item
from datajuicer.running.status import code_differs, is_current
from datajuicer.store.pickled import load_pickle
from datajuicer.store.record import Record
from datajuicer.store.store import LOG, MISSING, Store

RunMode = Literal["normal", "force", "load", "load_any", "retry"]


@dataclass(frozen=True)
class Looked:
    """A computation that has to be done, and whether a result that is there is to be set aside for it."""

    item: Item
    replaces: str | None = None


def look_up(
    store: Store, items: list[Item], mode: RunMode, results: list[Any], failures: list[Failure]
) -> list[Looked]:
    """Fill in what the store has; return the rest."""
    rest: list[Looked] = []
    warned: set[str] = set()
    for item in items:
        function = item.function
        if not isinstance(function, Cachable):
            rest.append(Looked(item))
            continue
        assert item.key is not None
        if mode == "force":
            rest.append(Looked(item, "any"))
            continue
        record = store.read(function.table_name, item.key)
        try:
            usable = record is not None and _usable(store, function, record, warned, mode)
            if record is not None and usable and fill_in(store, function, record, item, results):
                continue
        except UsageError:
            raise  # nothing is computed yet
        except Exception as error:
            failures.append(unreadable(store, item, error))
            continue
        if mode in ("normal", "load", "load_any") and record is None:
            failed = store.read(function.table_name, item.key, "failed")
            if failed is not None and mode == "normal":
                failures.append(recorded_failure(store, item, failed))
                continue
        rest.append(Looked(item, record["started"] if record is not None and not usable else None))
    return rest


def _usable(store: Store, function: Cachable, record: Record, warned: set[str], mode: RunMode) -> bool:
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
            stacklevel=4,
        )
    return True


def value_of(store: Store, function: Cachable, record: Record) -> Any:
    """The value of a record, or MISSING if its artifacts are gone or corrupt."""
    loader = partial(load_pickle, store.root) if function.loader == "pickle" else function.loader
    return store.value(record, loader)


def fill_in(store: Store, function: Cachable, record: Record, item: Item, results: list[Any]) -> bool:
    """Fill in the value of a record, if it is there: equal points get equal values, not the same object."""
    for index in item.indices:
        value = value_of(store, function, record)
        if value is MISSING:
            return False
        results[index] = value
    return True


def unreadable(store: Store, item: Item, error: Exception) -> Failure:
    """A loader or a checker failed; the result stays as it is."""
    said = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    told = "".join(traceback.format_exception(error))
    return failure_of(store, item, f"its result cannot be read: {said}", told, recorded=False)


def recorded_failure(store: Store, item: Item, record: Record) -> Failure:
    """A failure that an earlier run recorded."""
    return failure_of(store, item, record["error"], record["traceback"], recorded=True)


def failure_of(store: Store, item: Item, error: str, traceback: str, *, recorded: bool) -> Failure:
    """What is told of a point that has no result, with its log if there is one."""
    log = None
    if isinstance(item.function, Cachable) and item.key is not None:
        path = store.folder(item.function.table_name, item.key) / LOG
        log = str(path) if path.is_file() else None
    return Failure(tuple(item.indices), item.point, error, traceback, recorded, log)
