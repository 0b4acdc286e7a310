"""Computing: the one function that every executor runs, in this process or in another.

`compute` claims the results, makes the call, and writes artifacts and records; the results that it returns
only say how it went. Failures are recorded too, with their traceback, unless a retry may succeed.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.running.arguments import Copier, is_data
from datajuicer.running.cachable import JOB, Cachable
from datajuicer.running.calling import call_batched, check_unchanged, make, takes_job
from datajuicer.running.code.provenance import check_code
from datajuicer.running.describe import with_description
from datajuicer.running.keep import Attempt, error_line, keep, record_failure, tail
from datajuicer.running.parent import ParentMissing
from datajuicer.running.plan import Call
from datajuicer.running.results import Outcome, Result
from datajuicer.store import claims
from datajuicer.store.disk import make_folder
from datajuicer.store.replacing import folder_for
from datajuicer.store.store import LOG, Store
from datajuicer.workers import progress_file
from datajuicer.workers.job import LINK, Job, Link
from datajuicer.workers.shared import loads


@dataclass(frozen=True)
class Task:
    """What one call of an executor computes: one call, or several that the batched form makes as one."""

    calls: tuple[Call, ...]
    store: Store | None = None  # None: nothing is stored, values travel with the results
    retry: bool = False
    lint: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_send(self) -> Task:
        """Return the task without what another process does not need."""
        return replace(self, calls=tuple(map(_to_send, self.calls)))


def _to_send(call: Call) -> Call:
    # `_check_unchanged` needs the dependencies if some are not data
    needed = call.described is None or not all(map(is_data, call.dependencies.values()))
    return replace(call, point={}, dependencies=call.dependencies if needed else {})


def compute_pickled(payload: bytes) -> list[Result]:
    """`compute` for another process; cloudpickle carries functions of __main__ and of notebooks."""
    return [_sendable(result) for result in compute(loads(payload))]


def _sendable(result: Result) -> Result:
    """A result without what may not survive a pickle: exceptions, and values that could not be stored."""
    import cloudpickle

    if result.is_unstorable or result.fatal:
        try:
            cloudpickle.loads(cloudpickle.dumps(result.value))
        except Exception:
            return replace(result, exception=None, value=None)
    return replace(result, exception=None)


def compute(task: Task, copier: Copier | None = None) -> list[Result]:
    """Compute a task and store its results; return one result per call, in order.

    Args:
        task: what to compute.
        copier: copies the arguments; None if they were made for this task alone.
    """
    calls = list(task.calls)
    if task.store is not None:
        calls = [with_description(call, call.code) for call in calls]
    if copier is not None or len(calls) > 1:
        calls = _with_copies(calls, copier or Copier())
    link = LINK.get(Link())
    calls, texts, results = _with_code_that_runs(calls) if task.store is not None else (calls, {}, {})
    task = replace(task, calls=tuple(calls))
    held: list[claims.Claim] = []
    with claims.holding(held):
        folders: dict[int, Path] = {}
        for place, call in enumerate(task.calls):
            if place in results:
                continue
            claimed = _claim(task, call, held)
            if isinstance(claimed, Result):
                results[place] = claimed
            else:
                folders[place] = claimed
        ready: dict[int, Call] = {}
        for place in folders:
            match _with_parents(task, task.calls[place]):
                case Result() as refused:
                    results[place] = refused
                case call:
                    ready[place] = call
        if ready:
            places = [folders[place] for place in ready]
            results |= zip(ready, _compute(task, list(ready.values()), places, link), strict=True)
    for place, text in texts.items():
        if results[place].outcome in (Outcome.DONE, Outcome.FAILED):
            results[place] = replace(results[place], warnings=(*results[place].warnings, text))
    return [results[place] for place in range(len(task.calls))]


def _with_code_that_runs(
    calls: Sequence[Call],
) -> tuple[list[Call], dict[int, str], dict[int, Result]]:
    """Return calls with the code of this process, and warnings and refusals by place."""
    found = list(calls)
    texts: dict[int, str] = {}
    refused: dict[int, Result] = {}
    for place, call in enumerate(calls):
        if not isinstance(call.function, Cachable):
            continue
        code, text, is_refused = check_code(call.function, call.arguments, call.code)
        found[place] = call if code == call.code else replace(call, code=code)
        if is_refused:
            refused[place] = Result(Outcome.REFUSED, error=text)
        elif text:
            texts[place] = text
    return found, texts, refused


def _with_copies(calls: Sequence[Call], copier: Copier) -> list[Call]:
    """Return the calls of one task with arguments that they may change."""
    if len(calls) == 1:
        args, kwargs = copier.copy(calls[0].args, calls[0].kwargs)
        return [replace(calls[0], args=args, kwargs=kwargs)]
    # the batched form is called with the bound arguments
    return [replace(call, arguments=copier.copy((), call.arguments)[1]) for call in calls]


def _claim(task: Task, call: Call, held: list[claims.Claim]) -> Result | Path:
    """Claim one result; return the folder to compute it in, or the result as it is."""
    store = task.store
    if store is None:
        return Path()
    try:
        claim = claims.claim(store, call.name, call.id)
        if claim is None:
            return _busy(store, call)
        held.append(claim)
        # another process may have finished between the look-up and this claim
        folder = folder_for(store, call.name, call.id, call.replaces)
    except UsageError as error:
        return Result(Outcome.REFUSED, error=error_line(error), exception=error)
    except OSError as error:
        message = f"the store {store.root} cannot be written: {error}"
        return Result(Outcome.REFUSED, error=message, fatal=True)
    is_retry = task.retry or call.replaces is not None
    if folder is not None and not is_retry and store.has(call.name, call.id, "failed"):
        return Result(Outcome.FAILED)
    return folder or Result(Outcome.DONE)


def _with_parents(task: Task, call: Call) -> Call | Result:
    """Return the call with its parents loaded, or why it cannot be made."""
    if not call.parents:
        return call
    if task.store is None:
        return Result(Outcome.REFUSED, error="it needs the results of its parents, but nothing is stored")
    try:
        return call.with_parents(task.store)
    except ParentMissing as error:
        return Result(Outcome.REFUSED, error=str(error))


def _busy(store: Store, call: Call) -> Result:
    if not claims.is_claimed_here(store, call.name, call.id):
        return Result(Outcome.BUSY)
    text = f"{call.name} asks the store for the very result that it is computing"
    return Result(Outcome.REFUSED, error=f"{text}; let it call {call.name}.function(…) instead")


def _compute(task: Task, calls: Sequence[Call], folders: Sequence[Path], link: Link) -> list[Result]:
    try:
        return _compute_claimed(task, calls, folders, link)
    except OSError as error:  # of folders and logs; the function's own are caught where it is called
        text = f"the store cannot be written: {error_line(error)}"
        return [Result(Outcome.REFUSED, error=text, exception=error, fatal=True)] * len(calls)


def _compute_claimed(task: Task, calls: Sequence[Call], folders: Sequence[Path], link: Link) -> list[Result]:
    with_job = JOB in calls[0].kwargs or takes_job(calls[0].function)
    scratch = tempfile.mkdtemp() if task.store is None and with_job else None
    if scratch is not None:
        folders = [Path(scratch)] * len(calls)
    elif task.store is not None and with_job:
        for folder in folders:
            make_folder(folder, task.store.root)
    jobs = [Job(call.id, folder, link) for call, folder in zip(calls, folders, strict=True)]
    started = time.time()
    link.started(calls[0].name, tuple(call.id for call in calls), with_job)
    try:
        with link.log_to(jobs[0].folder / LOG if task.store is not None else None):
            if len(task.calls) > 1:
                values, undeclared = call_batched(calls, jobs, with_job), ()
            else:
                value, undeclared = make(calls[0], jobs[0], with_job, lint=task.lint)
                values = [value]
        if values is None:
            return [Result(Outcome.ALONE)] * len(calls)
        values = [check_unchanged(call, value) for call, value in zip(calls, values, strict=True)]
        seconds = time.time() - started
        attempts = [
            Attempt(call, job, started, seconds, len(task.calls), task.provenance)
            for call, job in zip(calls, jobs, strict=True)
        ]
        results = [
            replace(keep(task.store, attempt, value), undeclared=undeclared)
            for attempt, value in zip(attempts, values, strict=True)
        ]
        for job, result in zip(jobs, results, strict=True):
            if with_job and result.outcome in (Outcome.DONE, Outcome.FAILED):
                progress_file.remove(job.folder)
        return results
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def record_death(task: Task, reason: str) -> Result:
    """Record that the process died which computed the one call of a task; the caller saw it die."""
    (call,), store = task.calls, task.store
    assert store is not None
    folder = folder_for(store, call.name, call.id, call.replaces)
    if folder is None:  # it died after its result was stored
        return Result(Outcome.DONE)
    if (claim := claims.claim(store, call.name, call.id)) is not None:
        claim.release()  # with the one that the dead process held
    error = f"the worker process {reason}"
    log = tail(folder / LOG)
    text = f"{error}\nThe end of its log:\n{log}" if log else error
    attempt = Attempt(call, Job(call.id, folder), time.time(), None, 1, task.provenance)
    record_failure(store, attempt, error, text)
    return Result(Outcome.FAILED, error=error, traceback=text)
