"""A cachable function bound to a store: call it like the function itself."""

from __future__ import annotations

import functools
import pickle
import sys
from typing import Any

from datajuicer.errors import Failure, RunError, UsageError
from datajuicer.running.arrange import as_data
from datajuicer.running.cachable import Cachable
from datajuicer.running.lookup import look_up
from datajuicer.running.messages import describe_failures
from datajuicer.running.options import RunOptions
from datajuicer.running.pending import compute_pending
from datajuicer.running.plan import make_call
from datajuicer.store.store import Store, StoreLike


class Cached:
    """A function bound to a store; made by `cached`. It can be pickled."""

    __name__: str

    def __init__(self, function: Cachable, store: Store):
        functools.update_wrapper(self, function)
        self._function = function
        self._store = store

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the stored result, or compute and keep it."""
        function, store = self._function, self._store
        try:
            call = make_call(function, args, kwargs, {}, 0, (as_data(args), as_data(kwargs)))
        except RecursionError:
            raise UsageError(
                f"an argument of {function.table_name} contains itself, or is nested too deeply, and cannot "
                "be keyed; leave it out"
            ) from None
        results = look_up(store, [call], "normal")
        if results.pending:
            results = results.then(compute_pending(store, store, results.pending, RunOptions(progress=False)))
            if results.cause is not None and not results.values:
                raise results.cause
        if results.failures:
            failed = RunError(
                describe_failures(results.failures, [{}]), [results.values.get(0)], list(results.failures)
            )
            # A value that could not be stored is handed over in the RunError.
            original = None if 0 in results.values else _original(results.failures[0])
            raise failed if original is None else original from failed
        return results.values[0]

    def __repr__(self) -> str:
        return f"<cached {self._function.table_name} in {self._store.root}>"

    def __reduce__(self) -> Any:
        # by cloudpickle: a function of __main__ is not found under its name, where the Cachable stands
        import cloudpickle

        return _unpickled, (cloudpickle.dumps(self._function), self._store)


def _unpickled(function: bytes, store: Store) -> Cached:
    return cached(pickle.loads(function), store)


def cached(function: Cachable, cache_dir: StoreLike | None = None) -> Cached:
    """Bind a cachable function to a store: called, it looks there first and keeps what it computes.

    A grid of one, made fast. Text among the arguments is taken as it is, not as a template. A failure that
    was recorded earlier is raised as an exception of its type, with its message; as a RunError where that
    type cannot be made from a message.

    Args:
        function: made by `cachable`.
        cache_dir: the store, or its folder; default: `sessions/`.

    Raises:
        UsageError: the function is not cachable.
    """
    if not isinstance(function, Cachable):
        raise UsageError(f"{function!r} is not cachable; put @cachable() above it")
    return Cached(function, Store(cache_dir))


def _original(failure: Failure) -> Exception | None:
    """Return an exception of the type that a recorded failure names in its first word, if there is one."""
    name, _, message = failure.error.partition(": ")
    module, _, qualname = name.rpartition(".")
    kind = getattr(sys.modules.get(module or "builtins"), qualname, None)
    if not failure.recorded or not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        return kind(message) if message else kind()
    except Exception:
        return None
