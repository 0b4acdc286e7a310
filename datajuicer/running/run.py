"""Running a grid: give back what the store has, compute what is missing, in the order of the grid."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

from datajuicer.errors import Failure, MissingResults, RunError, StoreWarning, UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import Point, as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.compute import Outcome, Work
from datajuicer.running.lookup import Looked, RunMode, failure_of, fill_in, look_up, unreadable
from datajuicer.running.plan import Item, brief, complete, plan, telling_keys
from datajuicer.running.schedule import Order, compute_all
from datajuicer.store.store import MISSING, Store
from datajuicer.template import Literal as LiteralText

CacheMode = Literal["normal", "no_save"]

_SHOWN = 10  # failures and missing points that a message lists


def run(
    grid: Any,
    func: Any,
    n_threads: int = 1,
    run_mode: RunMode = "normal",
    cache_mode: CacheMode = "normal",
    cache_dir: str | os.PathLike[str] = "sessions",
    store_key: str | None = None,
    *,
    executor: Executor | None = None,
    batch: int = 1,
    time_limit: float | None = None,
    progress: bool | None = None,
    lint: bool = False,
    hint: str = "",
) -> Callable[..., Any]:
    """Run a function on every point of a grid: `run(grid, func, …)(*args, **kwargs)`.

    Text among the arguments is a template that each point fills in. Results of cachable functions come from
    the store where it has them.

    Args:
        grid: a list of dicts, or one dict.
        func: a function, or the key under which each point holds one.
        n_threads: number of worker processes; 1 computes in this process.
        run_mode: `normal`: compute what is missing, report recorded failures; `retry`: compute those again;
            `force`: compute everything again; `load`: compute nothing, an error lists what is missing;
            `load_any`: compute nothing, leave out what is missing.
        cache_mode: `no_save`: keep nothing.
        cache_dir: the folder of the store.
        store_key: None: return the values; a key: return the points with the value under this key; "*": the
            value is a dict that is merged into the point.
        executor: any `concurrent.futures.Executor` to compute with, instead of `n_threads`.
        batch: how many points of one group go into one call of a cachable function's batched form.
        time_limit: seconds after which the worker process of a call is ended, and its points recorded as
            failed.
        progress: False: say nothing while computing.
        lint: warn of keys that the function reads from its arguments but does not declare.
        hint: with `load`: the command that computes what is missing, for the message.

    Raises:
        UsageError: something in the call does not work; nothing was computed.
        RunError: some points failed; `results` and `failures` hold the rest.
        Interrupted: the run was stopped with Ctrl-C; what was finished is kept.
    """
    _check(n_threads, run_mode, cache_mode, store_key, executor, batch, time_limit)
    store = Store(cache_dir)

    def call(*args: Any, **kwargs: Any) -> Any:
        points = as_points(grid)
        items = plan(points, func, args, kwargs)
        results: list[Any] = [MISSING] * len(points)
        failures: list[Failure] = []
        looked = look_up(store, items, run_mode, results, failures)
        if run_mode in ("load", "load_any") and not failures:
            missing = [index for index, value in enumerate(results) if value is MISSING]
            if missing and run_mode == "load":
                raise _nothing_stored(points, missing, hint)
            return _arranged(points, results, store_key, leave_out=run_mode == "load_any")
        if looked and run_mode not in ("load", "load_any"):
            order = Order(n_threads, executor, batch, progress, lint, run_mode == "retry", time_limit)
            keep = store if cache_mode == "normal" else None
            cause = _compute(store, keep, looked, order, results, failures)
        else:
            cause = None
        if failures:
            failures.sort(key=lambda f: f.indices)
            explained = _explained(failures, len(points))
            try:
                partial_results = _arranged(points, results, store_key)
            except UsageError as error:  # what is there cannot be merged into the points
                partial_results, explained = _arranged(points, results, None), f"{explained}\n{error}"
            raise RunError(explained, partial_results, failures) from cause
        return _arranged(points, results, store_key)

    return call


def _check(
    n_threads: Any,
    run_mode: Any,
    cache_mode: Any,
    store_key: Any,
    executor: Any,
    batch: Any,
    time_limit: Any,
) -> None:
    if isinstance(n_threads, bool) or not isinstance(n_threads, int) or n_threads < 1:
        raise UsageError(f"n_threads={n_threads!r} must be a whole number of worker processes, at least 1")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise UsageError(f"batch={batch!r} must be a whole number of points, at least 1")
    if time_limit is not None and not (isinstance(time_limit, int | float) and 0 < time_limit < math.inf):
        raise UsageError(f"time_limit={time_limit!r} must be a number of seconds above 0, or None")
    if time_limit is not None and executor is not None:
        raise UsageError("time_limit is for the worker processes of run; give the executor its own limit")
    modes = get_args(RunMode)
    if run_mode not in modes:
        raise UsageError(f"run_mode={run_mode!r} must be one of {', '.join(modes)}")
    if cache_mode not in ("normal", "no_save"):
        raise UsageError(f"cache_mode={cache_mode!r} must be 'normal' or 'no_save'")
    if store_key is not None and not isinstance(store_key, str):
        raise UsageError(f"store_key={store_key!r} must be a key, '*' or None")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise UsageError(
            f"executor={executor!r} does not follow concurrent.futures.Executor: it has no submit()"
        )


# -- what has to be computed
# ----------------------------------------------------------------------------------------


def _compute(
    store: Store,
    keep: Store | None,
    looked: list[Looked],
    order: Order,
    results: list[Any],
    failures: list[Failure],
) -> BaseException | None:
    """Compute and fill in; return one of the exceptions, to chain it to the error."""
    works = [
        Work(
            one.item.args,
            one.item.kwargs,
            one.item.arguments,
            one.item.dependencies,
            one.item.key or f"point {one.item.indices[0]}",
            one.replaces,
        )
        for one in looked
    ]
    items = [one.item for one in looked]
    # closed here and now whatever happens: signal handlers and worker processes hang on it
    with closing(compute_all(keep, items, works, order)) as outcomes:
        return _take(store, keep, items, outcomes, results, failures)


def _take(
    store: Store,
    keep: Store | None,
    items: list[Item],
    outcomes: Iterable[tuple[int, Outcome]],
    results: list[Any],
    failures: list[Failure],
) -> BaseException | None:
    """Fill in outcomes as they come."""
    cause: BaseException | None = None
    undeclared: dict[str, None] = {}
    for place, outcome in outcomes:
        item = items[place]
        function = item.function
        for text in outcome.warnings:
            warnings.warn(text, StoreWarning, stacklevel=4)
        undeclared.update(dict.fromkeys(f"{item.name} reads {name}" for name in outcome.undeclared))
        if outcome.status == "done":
            if keep is None or not isinstance(function, Cachable):
                for index in item.indices:
                    results[index] = outcome.value
                continue
            assert item.key is not None
            record = keep.read(function.table_name, item.key)
            try:
                if record is not None and fill_in(keep, function, record, item, results):
                    continue
            except Exception as error:
                failures.append(unreadable(store, item, error))
                continue
            error = "the result was computed, but is not in the store any more"
            failures.append(failure_of(store, item, error, "", recorded=False))
            continue
        error, traceback = outcome.error, outcome.traceback
        if outcome.status == "failed" and not error and isinstance(function, Cachable) and item.key and keep:
            found = keep.read(function.table_name, item.key, "failed") or {}  # another process recorded it
            error, traceback = found.get("error", "failed in another process"), found.get("traceback", "")
        cause = cause or outcome.exception
        failures.append(failure_of(store, item, error, traceback, recorded=outcome.status == "failed"))
    if undeclared:
        warnings.warn(
            "not declared as a dependency: "
            + "; ".join(undeclared)
            + ". Results with other values of these would be "
            "taken for the same",
            StoreWarning,
            stacklevel=4,
        )
    return cause


# -- what is given back
# ---------------------------------------------------------------------------------------------


def _arranged(
    points: list[Point], results: list[Any], store_key: str | None, *, leave_out: bool = False
) -> Any:
    kept = [(p, r) for p, r in zip(points, results, strict=True) if not (leave_out and r is MISSING)]
    if store_key is None:
        return [None if value is MISSING else value for _, value in kept]
    merged: list[Any] = [None if value is MISSING else _merged(p, value, store_key) for p, value in kept]
    return Grid(merged)


def _merged(point: Point, value: Any, store_key: str) -> Point:
    if store_key != "*":
        return {**point, store_key: as_data(value)}
    if not isinstance(value, Mapping):
        raise UsageError(
            f'store_key="*" merges a dict into the point, but the result is {type(value).__qualname__}'
        )
    return {**point, **{k: as_data(v) for k, v in value.items()}}


def as_data(value: Any) -> Any:
    """Text that a function returned is data, wherever it stands: templates in it are never resolved."""
    kind = type(value)
    if kind is str:
        return LiteralText(value) if "{" in value or "}" in value else value
    if kind is dict:
        return {key: as_data(inner) for key, inner in value.items()}
    if kind is list or kind is tuple:
        return kind(map(as_data, value))
    return value


def _nothing_stored(points: list[Point], missing: list[int], hint: str) -> MissingResults:
    keys = telling_keys(points)
    lines = [f"  point {index}: {brief(points[index], keys=keys)}" for index in missing]
    remedy = hint or 'the same call with run_mode="normal"'
    text = (
        f"{len(missing)} of {len(points)} points have no result; compute them with: {remedy}\n"
        + "\n".join(lines)
    )
    return MissingResults(text, [points[index] for index in missing])


def _explained(failures: list[Failure], total: int) -> str:
    count = sum(len(f.indices) for f in failures)
    lines = [f"{count} of {total} points failed; the results of the others are kept (and in .results)"]
    keys = telling_keys([failure.point for failure in failures])
    for failure in failures[:_SHOWN]:
        places = ", ".join(map(str, failure.indices))
        log = f" (log: {failure.log})" if failure.log else ""
        lines.append(f"  point {places} ({brief(failure.point, keys=keys)}): {failure.error}{log}")
    if len(failures) > _SHOWN:
        lines.append(f"  … and {len(failures) - _SHOWN} more (in .failures)")
    if any(f.recorded for f in failures):
        lines.append('recorded failures are not computed again unless run_mode is "retry"')
    if not all(f.recorded for f in failures):
        lines.append("failures that circumstances caused are not recorded: the same run tries them again")
    return "\n".join(lines)


def cached(function: Cachable, cache_dir: str | os.PathLike[str] = "sessions") -> Callable[..., Any]:
    """A cachable function bound to a store: called, it looks there first and keeps what it computes.

    A grid of one, made fast. Text among the arguments is taken as it is, not as a template. A failure that
    was recorded earlier is raised as a RunError.

    Args:
        function: made by `cachable`.
        cache_dir: the folder of the store.
    """
    if not isinstance(function, Cachable):
        raise UsageError(f"{function!r} is not cachable; put @cachable() above it")
    store = Store(Path(cache_dir))

    def call(*args: Any, **kwargs: Any) -> Any:
        item = Item(function, as_data(args), as_data(kwargs), {}, [0])
        complete(item, function)
        item.args, item.kwargs = args, kwargs
        results: list[Any] = [MISSING]
        failures: list[Failure] = []
        looked = look_up(store, [item], "normal", results, failures)
        if looked:
            cause = _compute(store, store, looked, Order(progress=False), results, failures)
            if cause is not None:
                raise cause
        if failures:
            raise RunError(_explained(failures, 1), [None], failures)
        return results[0]

    return call
