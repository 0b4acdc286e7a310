"""A cachable function bound to a store: call it like the function itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from datajuicer.errors import RunError, UsageError
from datajuicer.running.arrange import as_data
from datajuicer.running.cachable import Cachable
from datajuicer.running.lookup import look_up
from datajuicer.running.messages import describe_failures
from datajuicer.running.options import RunOptions
from datajuicer.running.pending import compute_pending
from datajuicer.running.plan import make_call
from datajuicer.store.store import Store


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
        keyed = make_call(function, as_data(args), as_data(kwargs), {}, 0)
        results = look_up(store, [replace(keyed, args=args, kwargs=kwargs)], "normal")
        if results.pending:
            results = results.then(compute_pending(store, store, results.pending, RunOptions(progress=False)))
            if results.cause is not None and not results.values:
                raise results.cause
        if results.failures:
            raise RunError(
                describe_failures(results.failures, [{}]), [results.values.get(0)], list(results.failures)
            )
        return results.values[0]

    return call
