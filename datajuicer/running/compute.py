"""Computing: the one function that every executor runs, wherever it runs it.

`compute` claims the results, calls the function, and writes artifacts and records; what it returns only says
how it went. Failures are results too: an exception is recorded with its traceback, unless trying again may
help.
"""

from __future__ import annotations

import inspect
import os
import pickle
import shutil
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from datajuicer.errors import UsageError
from datajuicer.running.cachable import JOB, Cachable
from datajuicer.running.lint import watch
from datajuicer.store import claims, values
from datajuicer.store.disk import StoreFull, cannot_write, is_full
from datajuicer.store.pickled import save_pickle
from datajuicer.store.record import FORMAT, Record
from datajuicer.store.store import LOG, Store
from datajuicer.workers.job import LINK, Job, Link

CONTEXT_LIMIT = 4000  # characters of other arguments that a record keeps


@dataclass(frozen=True)
class Work:
    """One result to compute: the call, and what the record will say about it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    arguments: dict[str, Any]
    dependencies: dict[str, Any]
    key: str
    replaces: str | None = (
        None  # "any", or the start time of the one result that is to be set aside for this one
    )


@dataclass(frozen=True)
class Task:
    """What one call of an executor computes: one point, or several in one call of the batched form."""

    function: Callable[..., Any]
    name: str
    works: tuple[Work, ...]
    store: Store | None = None  # None: nothing is kept, values travel with the outcome
    retry: bool = False
    lint: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How one result went.

    `done`, `failed` (recorded), `refused` (not recorded: trying again may help), `stopped` (on request),
    `busy` (another process computes it now), `alone` (its batch failed as a whole: try it alone).
    """

    status: Literal["done", "failed", "refused", "stopped", "busy", "alone"]
    value: Any = None
    error: str = ""
    traceback: str = ""
    exception: BaseException | None = None
    fatal: bool = False  # the store is full: computing more would be in vain
    warnings: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()


def compute_pickled(payload: bytes) -> list[Outcome]:
    """`compute` for another process; cloudpickle carries functions of __main__ and of notebooks."""
    outcomes = compute(pickle.loads(payload))
    return [
        replace(outcome, exception=None) for outcome in outcomes
    ]  # exceptions do not always survive a pickle


def compute(task: Task) -> list[Outcome]:
    """Compute a task and keep its results; one outcome for each work, in order."""
    link = LINK.get(Link())
    outcomes: dict[int, Outcome] = {}
    held: list[claims.Claim] = []
    with claims.heartbeat(held, task.store is not None):
        ready = []
        for place, work in enumerate(task.works):
            if task.store is not None:
                outcome = _claim(task, work, held)
                if outcome is not None:
                    outcomes[place] = outcome
                    continue
            ready.append(place)
        for group in [ready] if len(task.works) > 1 else [[place] for place in ready]:
            if not group:
                continue
            try:
                outcomes.update(_compute(task, group, link))
            except (
                OSError
            ) as error:  # of our own doing: folders and logs; the function's are caught where it is called
                text = f"the store cannot be written: {_line(error)}"
                outcomes.update(
                    dict.fromkeys(group, Outcome("refused", error=text, exception=error, fatal=True))
                )
    return [outcomes[place] for place in range(len(task.works))]


def _claim(task: Task, work: Work, held: list[claims.Claim]) -> Outcome | None:
    store = task.store
    assert store is not None
    try:
        claim = claims.claim(store, task.name, work.key)
    except OSError as error:
        return Outcome("refused", error=f"the store {store.root} cannot be written: {error}", fatal=True)
    if claim is None:
        return Outcome("busy")
    held.append(claim)
    if work.replaces == "any" or (work.replaces and _started(store, task.name, work.key) == work.replaces):
        store.archive(task.name, work.key)
        return None
    # somebody may have finished between our looking and our claiming
    if store.path(task.name, work.key).exists():
        return Outcome("done")
    if not task.retry and store.path(task.name, work.key, "failed").exists():
        return Outcome("failed")
    return None


def _started(store: Store, name: str, key: str) -> str | None:
    record = store.read(name, key)
    return None if record is None else record["started"]


def _compute(task: Task, places: list[int], link: Link) -> dict[int, Outcome]:
    works = [task.works[place] for place in places]
    function = task.function
    takes_job = JOB in works[0].kwargs or _takes_job(function)
    scratch = None if task.store is not None else tempfile.mkdtemp() if takes_job else None
    jobs = [_job(task, work, link, scratch, takes_job) for work in works]
    started = time.time()
    link.started(task.name, tuple(work.key for work in works), takes_job)
    try:
        with link.log_to(jobs[0].folder / LOG if task.store is not None else None):
            results, undeclared = _call(task, works, jobs, takes_job)
        if isinstance(results, _Raised):
            return dict.fromkeys(places, Outcome("alone"))
        duration = time.time() - started
        return {
            place: replace(_keep(task, work, job, result, started, duration), undeclared=undeclared)
            for place, work, job, result in zip(places, works, jobs, results, strict=True)
        }
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _takes_job(function: Any) -> bool:
    if isinstance(function, Cachable):
        return function.takes_job
    code = getattr(function, "__code__", None)
    return code is not None and JOB in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _job(task: Task, work: Work, link: Link, scratch: str | None, needed: bool) -> Job:
    if task.store is None:
        return Job(work.key, Path(scratch or "."), link)
    folder = task.store.folder(task.name, work.key)
    if needed:
        folder.mkdir(parents=True, exist_ok=True)
    return Job(work.key, folder, link)


class _Raised:
    """An exception in the place of a value."""

    def __init__(self, error: BaseException):
        self.error = error


def _call(task: Task, works: list[Work], jobs: list[Job], takes_job: bool) -> tuple[Any, tuple[str, ...]]:
    function = task.function
    if len(task.works) > 1:
        assert isinstance(function, Cachable)
        return _call_batched(function, works, jobs, takes_job), ()
    (work,), (job,) = works, jobs
    args, kwargs, seen = work.args, work.kwargs, None
    if takes_job and JOB not in kwargs:
        args, kwargs = _with_job(function, args, kwargs, job)
    if task.lint and isinstance(function, Cachable):
        args, kwargs, seen = watch(function, args, kwargs)
    try:
        result = (
            function.function(*args, **kwargs)
            if isinstance(function, Cachable)
            else function(*args, **kwargs)
        )
    except BaseException as error:
        result = _Raised(error)
    return [result], tuple(seen.undeclared()) if seen else ()


def _with_job(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], job: Job
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with `job` in its place."""
    called = function.function if isinstance(function, Cachable) else function
    place = list(inspect.signature(called).parameters).index(JOB)
    if place < len(args):
        return (*args[:place], job, *args[place:]), kwargs
    return args, {**kwargs, JOB: job}


def _call_batched(
    function: Cachable, works: list[Work], jobs: list[Job], takes_job: bool
) -> list[Any] | _Raised:
    columns: dict[str, list[Any]] = {
        name: [work.arguments[name] for work in works] for name in works[0].arguments
    }
    if takes_job:
        columns[JOB] = jobs  # type: ignore[assignment]
    assert function.batched is not None
    try:
        results = list(function.batched(**columns))
        if len(results) != len(works):
            raise UsageError(
                f"the batched form of {function.table_name} returned {len(results)} values for {len(works)} "
                "points"
            )
    except BaseException as error:
        return [_Raised(error)] * len(works) if may_help_again(error) else _Raised(error)
    return [_Raised(r) if isinstance(r, BaseException) else r for r in results]


def _keep(task: Task, work: Work, job: Job, result: Any, started: float, duration: float) -> Outcome:
    if isinstance(result, _Raised):
        return _keep_failure(task, work, job, result.error, started, duration)
    if task.store is None:
        return Outcome("done", result)
    try:
        different = _keep_value(task.store, task, work, job, result, started, duration)
    except Exception as error:  # of its saver, or because the value has no place in a record
        return _keep_failure(task, work, job, error, started, duration)
    return Outcome("done", warnings=(different,) if different else ())


def _keep_value(
    store: Store, task: Task, work: Work, job: Job, value: Any, started: float, duration: float
) -> str:  # fmt: skip
    function = task.function
    assert isinstance(function, Cachable)
    record = _record(task, work, job, "done", started, duration)
    if function.saver is not None:
        saver = save_pickle if function.saver == "pickle" else function.saver
        record["value"] = store.write_files(task.name, work.key, saver, value)
        return store.write(record)
    tree, arrays = values.encode(value)
    record["value"] = tree
    if arrays:
        data = values.arrays_to_bytes(arrays)
        record["arrays"] = store.write_artifact(task.name, work.key, "value", ".safetensors", data)
    return store.write(record)


def _keep_failure(
    task: Task, work: Work, job: Job, error: BaseException, started: float, duration: float
) -> Outcome:  # fmt: skip
    text = "".join(traceback.format_exception(error))
    if isinstance(error, StoreFull):
        return _give_up(error)
    if task.store is not None and is_full(error):  # what the function wrote found no room
        return _give_up(cannot_write(job.folder, None, error))
    if isinstance(error, KeyboardInterrupt):
        return Outcome("stopped", error=_line(error), traceback=text, exception=error)
    if may_help_again(error) or task.store is None:
        return Outcome("refused", error=_line(error), traceback=text, exception=error)
    record = _record(task, work, job, "failed", started, duration)
    try:
        task.store.write(record | {"error": _line(error), "traceback": text})
    except StoreFull as full:
        return _give_up(full)
    return Outcome("failed", error=_line(error), traceback=text, exception=error)


def _give_up(full: StoreFull) -> Outcome:
    return Outcome("refused", error=_line(full), exception=full, fatal=True)


def record_death(task: Task, work: Work, reason: str) -> Outcome:
    """Record that the process died which computed this; the caller saw it die."""
    assert task.store is not None
    if task.store.path(task.name, work.key).exists():  # it died after its work was done
        return Outcome("done")
    if (claim := claims.claim(task.store, task.name, work.key)) is not None:
        claim.release()  # with the one that the dead process held
    folder = task.store.folder(task.name, work.key)
    log = tail(folder / LOG)
    text = (
        f"the worker process {reason}\nThe end of its log:\n{log}" if log else f"the worker process {reason}"
    )
    record = _record(task, work, Job(work.key, folder), "failed", time.time(), None)
    task.store.write(record | {"error": f"the worker process {reason}", "traceback": text})
    return Outcome("failed", error=f"the worker process {reason}", traceback=text)


def tail(path: Path, size: int = 3000) -> str:
    """The last characters of a text file, nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def may_help_again(error: BaseException) -> bool:
    """Whether the failure lies in the circumstances, so that the same call may work another time."""
    circumstances = (OSError, MemoryError, KeyboardInterrupt, UsageError)
    return isinstance(error, circumstances) or getattr(type(error), "transient", False) is True


def _line(error: BaseException) -> str:
    if isinstance(error, UsageError):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()


def _record(task: Task, work: Work, job: Job, outcome: str, started: float, duration: float | None) -> Record:
    function = task.function
    record: Record = {
        "format": FORMAT,
        "function": task.name,
        "version": values.describe(getattr(function, "version", None)),
        "key": work.key,
        "outcome": outcome,
        "dependencies": {name: values.describe(value) for name, value in work.dependencies.items()},
        "context": _context(function, work),
        "notes": {name: _described(fact) for name, fact in job.facts.items()},
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        "seconds": duration and round(duration, 6),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    if len(task.works) > 1:
        record["batch"] = len(task.works)
    return record | task.provenance


def _context(function: Any, work: Work) -> Any:
    """The arguments that are no dependencies, within bounds."""
    whole = (
        {d.parameter for d in function.dependencies if d.key is None}
        if isinstance(function, Cachable)
        else set()
    )
    context: dict[str, Any] = {}
    room = CONTEXT_LIMIT
    for name, value in work.arguments.items():
        if name in whole:
            continue
        items = value.items() if isinstance(value, dict) else [(None, value)]
        for key, inner in items:
            if f"{name}:{key}" in work.dependencies:
                continue
            described = _described(inner)
            size = len(str(described)) + len(str(key))
            if size <= room:
                room -= size
                context[name if key is None else f"{name}:{key}"] = described
    return context


def _described(value: Any) -> Any:
    """What is only for people to read must never cost a result."""
    try:
        return values.describe(value)
    except Exception:
        return {"$unknown": f"{type(value).__module__}.{type(value).__qualname__}"}
