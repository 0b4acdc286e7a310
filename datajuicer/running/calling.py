"""Calling: one call of a function, or several as one, with a job and the lint where they are wanted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.running.arguments import is_data
from datajuicer.running.cachable import JOB, Cachable
from datajuicer.running.keep import Raised, is_transient
from datajuicer.running.lint import watch
from datajuicer.running.plan import Call
from datajuicer.workers.job import Job


def takes_job(function: Any) -> bool:
    """Whether a function has a parameter named `job`."""
    if isinstance(function, Cachable):
        return function.takes_job
    code = getattr(function, "__code__", None)
    return code is not None and JOB in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def make(call: Call, job: Job, with_job: bool, *, lint: bool) -> tuple[Any, tuple[str, ...]]:
    """Make one call; return its value, or `Raised`, and the keys that it read without declaring them."""
    function = call.function
    args, kwargs, seen = call.args, call.kwargs, None
    if with_job and JOB not in kwargs:
        args, kwargs = _with_job(function, args, kwargs, job)
    if lint and isinstance(function, Cachable):
        args, kwargs, seen = watch(function, args, kwargs)
    called = function.function if isinstance(function, Cachable) else function
    try:
        value = called(*args, **kwargs)
    except BaseException as error:
        value = Raised(error)
    return value, tuple(seen.undeclared()) if seen else ()


def check_unchanged(call: Call, value: Any) -> Any:
    """Return the value; `Raised` if the call changed an object that its key was made of.

    Data is copied before each call. What remains are objects of other classes, which have a key by an encoder
    or their own `__datajuicer_key__`.
    """
    if not isinstance(call.function, Cachable) or all(map(is_data, call.dependencies.values())):
        return value
    try:
        key = call.function.key(call.dependencies)
    except Exception:
        key = ""
    if key == call.key:
        return value
    names = [name for name, dependency in call.dependencies.items() if not is_data(dependency)]
    return Raised(
        UsageError(
            f"{call.name} changes its argument {', '.join(names)}, which its other points and the key of its "
            "result share: change a copy instead (copy.deepcopy)"
        )
    )


def _with_job(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], job: Job
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with `job` in its place."""
    called = function.function if isinstance(function, Cachable) else function
    place = list(inspect.signature(called).parameters).index(JOB)
    if place < len(args):
        return (*args[:place], job, *args[place:]), kwargs
    return args, {**kwargs, JOB: job}


def call_batched(calls: Sequence[Call], jobs: list[Job], with_job: bool) -> list[Any] | None:
    """Make several calls as one; return their values, or None if each has to be tried alone."""
    function = calls[0].function
    assert isinstance(function, Cachable)
    assert function.batched is not None
    columns: dict[str, Any] = {name: [call.arguments[name] for call in calls] for name in calls[0].arguments}
    if with_job:
        columns[JOB] = jobs
    try:
        values = list(function.batched(**columns))
        if len(values) != len(calls):
            raise UsageError(
                f"the batched form of {function.table_name} returned {len(values)} values for {len(calls)} "
                "points"
            )
    except BaseException as error:
        return [Raised(error)] * len(calls) if is_transient(error) else None
    return [Raised(value) if isinstance(value, BaseException) else value for value in values]
