"""Keeping: the value or the exception of a call becomes a record in the store."""

from __future__ import annotations

import os
import socket
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.running.cachable import Cachable
from datajuicer.running.describe import describe_safely, with_description
from datajuicer.running.messages import shorten
from datajuicer.running.plan import Call
from datajuicer.running.results import Outcome, Result
from datajuicer.store import values
from datajuicer.store.arrays import arrays_to_bytes
from datajuicer.store.artifacts import write_arrays, write_files
from datajuicer.store.disk import StoreFull, cannot_write, is_full
from datajuicer.store.pickled import save_pickle
from datajuicer.store.record import FORMAT, PLAIN_FORMAT, Record
from datajuicer.store.store import Store
from datajuicer.workers.job import Job

MAX_ERROR = 10_000  # characters of an error that a record keeps
MAX_TRACEBACK = 100_000


class Raised:
    """An exception in the place of a value."""

    def __init__(self, error: BaseException):
        self.error = error


@dataclass(frozen=True)
class Attempt:
    """One call that was made: when, for how long (None: unknown), and with how many others at once."""

    call: Call
    job: Job
    started: float
    seconds: float | None
    batch: int
    provenance: dict[str, Any]


def keep(store: Store | None, attempt: Attempt, value: Any) -> Result:
    """Store the value of a call, or its failure; without a store return the value itself."""
    if isinstance(value, Raised):
        return _keep_failure(store, attempt, value.error)
    if store is None:
        return Result(Outcome.DONE, value)
    try:
        difference = _keep_value(store, attempt, value)
    except Exception as error:  # of its saver, or because a record cannot hold the value
        failed = _keep_failure(store, attempt, error)
        return replace(failed, value=value, is_unstorable=not failed.fatal)
    return Result(Outcome.DONE, warnings=(difference,) if difference else ())


def _keep_value(store: Store, attempt: Attempt, value: Any) -> str:
    call = attempt.call
    function = call.function
    assert isinstance(function, Cachable)
    record = _record(attempt, "done")
    if function.saver is not None:
        saver = save_pickle if function.saver == "pickle" else function.saver
        record["value"] = write_files(store.root, attempt.job.folder, saver, value)
        return store.write(record, replace="folder" in record)
    tree, arrays = values.encode(value)
    record["value"] = tree
    if arrays:
        record["arrays"] = write_arrays(store.root, attempt.job.folder, arrays_to_bytes(arrays))
    return store.write(record, replace="folder" in record)


def _keep_failure(store: Store | None, attempt: Attempt, error: BaseException) -> Result:
    text = shorten("".join(traceback.format_exception(error)), MAX_TRACEBACK)
    if isinstance(error, StoreFull):
        return _refuse_all(error)
    if store is not None and is_full(error):  # the function's own files found no room
        return _refuse_all(cannot_write(attempt.job.folder, None, error))
    if isinstance(error, KeyboardInterrupt):
        return Result(Outcome.STOPPED, error=error_line(error), traceback=text, exception=error)
    if is_transient(error) or store is None:
        return Result(Outcome.REFUSED, error=error_line(error), traceback=text, exception=error)
    try:
        record_failure(store, attempt, error_line(error), text)
    except StoreFull as full:
        return _refuse_all(full)
    return Result(Outcome.FAILED, error=error_line(error), traceback=text, exception=error)


def record_failure(store: Store, attempt: Attempt, error: str, text: str) -> None:
    """Record a failure: the error in one line, and the traceback."""
    store.write(_record(attempt, "failed") | {"error": error, "traceback": text})


def _refuse_all(full: StoreFull) -> Result:
    return Result(Outcome.REFUSED, error=error_line(full), exception=full, fatal=True)


def tail(path: Path, size: int = 3000) -> str:
    """Return the last characters of a text file, nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def is_transient(error: BaseException) -> bool:
    """Whether a retry may succeed: the cause lies in the circumstances, not in the call."""
    circumstances = (OSError, MemoryError, KeyboardInterrupt, UsageError)
    return isinstance(error, circumstances) or getattr(type(error), "transient", False) is True


def error_line(error: BaseException) -> str:
    """Return an exception as one line."""
    is_ours = isinstance(error, UsageError)
    text = str(error) if is_ours else "".join(traceback.format_exception_only(error)).strip()
    return shorten(text, MAX_ERROR)


def _record(attempt: Attempt, outcome: str) -> Record:
    call = attempt.call
    folder = attempt.job.folder.name  # named only if it is not the usual one
    is_beside = folder.startswith(f"{call.id}.run-")
    record: Record = {
        "format": FORMAT if is_beside else PLAIN_FORMAT,
        "function": call.name,
        "version": values.describe(getattr(call.function, "version", None)),
        "key": call.id,
        "outcome": outcome,
        **(with_description(call, call.code).described or {}),
        "omitted": call.omitted,
        "notes": {name: describe_safely(fact) for name, fact in attempt.job.facts.items()},
        "started": datetime.fromtimestamp(attempt.started, UTC).isoformat(timespec="milliseconds"),
        "seconds": attempt.seconds and round(attempt.seconds, 6),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    if is_beside:
        record["folder"] = folder
    if attempt.batch > 1:
        record["batch"] = attempt.batch
    code = attempt.call.code
    return record | attempt.provenance | ({} if code is None else code.fields)
