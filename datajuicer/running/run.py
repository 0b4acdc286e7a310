"""Running a grid: return what the store has, compute what is missing, in the order of the grid."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal, get_args

from datajuicer.errors import RunError, UsageError
from datajuicer.grids.points import as_points
from datajuicer.running.arrange import arrange
from datajuicer.running.lookup import RunMode, look_up
from datajuicer.running.messages import describe_failures, nothing_stored
from datajuicer.running.options import RunOptions
from datajuicer.running.pending import compute_pending
from datajuicer.running.plan import plan
from datajuicer.running.results import Results
from datajuicer.store.store import Store, StoreLike

CacheMode = Literal["normal", "no_save"]


def run(
    grid: Any,
    func: Any,
    n_threads: int = 1,
    run_mode: RunMode = "normal",
    cache_mode: CacheMode = "normal",
    cache_dir: StoreLike | None = None,
    store_key: str | None = None,
    *,
    executor: Executor | None = None,
    batch: int = 1,
    time_limit: float | None = None,
    max_failures: int | None = None,
    retries: int = 0,
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
        cache_dir: the store, or its folder; default: `sessions/`.
        store_key: None: return the values; a key, or a path `"a.b"` into dicts: return the points with the
            value there; "*": the value is a dict that is merged into the point, whose own entries it must
            not change.
        executor: any `concurrent.futures.Executor` to compute with, instead of `n_threads`.
        batch: how many points of one group go into one call of a cachable function's batched form.
        time_limit: seconds after which the worker process of a call is ended, and its points recorded as
            failed.
        max_failures: after so many points have failed in this run no further one is begun.
        retries: how often a point is computed again, after a pause that doubles each time, whose failure is
            not recorded because trying again may help: OSError, MemoryError and the like.
        progress: False: say nothing while computing.
        lint: warn of keys that the function reads from its arguments but does not declare.
        hint: with `load`: the command that computes what is missing, for the message.

    Raises:
        UsageError: something in the call does not work; nothing was computed.
        RunError: some points failed; `results` and `failures` hold the rest.
        Interrupted: the run was stopped with Ctrl-C; what was finished is kept.
    """
    _check(run_mode, cache_mode, store_key)
    store = Store(cache_dir)
    options = RunOptions(
        n_threads, executor, batch, progress, lint, run_mode == "retry", time_limit, max_failures, retries
    )
    is_loading = run_mode in ("load", "load_any")

    def call(*args: Any, **kwargs: Any) -> Any:
        points = as_points(grid)
        results = look_up(store, plan(points, func, args, kwargs), run_mode)
        if results.pending and not is_loading:
            keep = store if cache_mode == "normal" else None
            results = results.then(compute_pending(store, keep, results.pending, options))
        if results.failures:
            raise _run_error(results, points, store_key)
        if results.pending and run_mode == "load":
            missing = sorted(index for pending in results.pending for index in pending.indices)
            raise nothing_stored(points, missing, hint)
        return arrange(points, results.values, store_key, leave_out=run_mode == "load_any")

    return call


def _check(run_mode: Any, cache_mode: Any, store_key: Any) -> None:
    modes = get_args(RunMode)
    if run_mode not in modes:
        raise UsageError(f"run_mode={run_mode!r} must be one of {', '.join(modes)}")
    if cache_mode not in ("normal", "no_save"):
        raise UsageError(f"cache_mode={cache_mode!r} must be 'normal' or 'no_save'")
    if store_key is not None and not isinstance(store_key, str):
        raise UsageError(f"store_key={store_key!r} must be a key, '*' or None")


def _run_error(results: Results, points: list[Any], store_key: str | None) -> RunError:
    failures = sorted(results.failures, key=lambda failure: failure.indices)
    message = describe_failures(failures, points)
    try:
        partial_results = arrange(points, results.values, store_key)
    except UsageError as error:  # what is there cannot be merged into the points
        partial_results, message = arrange(points, results.values, None), f"{message}\n{error}"
    run_error = RunError(message, partial_results, failures)
    run_error.__cause__ = results.cause
    return run_error
