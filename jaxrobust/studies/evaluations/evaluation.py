"""What evaluations of trained grid points have in common: caching, and whose code they depend on."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any

import datajuicer as dj
from jaxrobust.products import full_precision
from jaxrobust.studies.device_notes import device_notes
from jaxrobust.studies.earlier_defaults import EARLIER
from jaxrobust.studies.parameter_noise.catalogue import family_of
from jaxrobust.studies.sources import WITHIN, evaluation_code
from jaxrobust.studies.training_points import evaluation_code_of

# Begins an evaluation on the device; what it returns waits for the result.
Begin = Callable[..., Callable[[], Any]]


def evaluation(
    dependencies: Sequence[str], table_name: str, begin: Begin | None = None
) -> Callable[[Callable[..., Any]], dj.Cachable]:
    """Mark an evaluation of trained grid points (its argument ``model``) as cachable.

    Its products are computed in float32; the record says so, and on which device.

    Args:
        dependencies: As for ``datajuicer.cachable``.
        table_name: Its name in the store.
        begin: Begins it, given the same arguments. With this, ``datajuicer.run(..., batch=8)`` computes
            several levels or sizes of one network in one call: the device has the next before the host
            reads the last. It computes one at a time, so that the memory does not grow.
    """

    def mark(function: Callable[..., Any]) -> dj.Cachable:
        return dj.cachable(
            dependencies,
            table_name=table_name,
            code_of=partial(_code_of, function),
            code_within=WITHIN,
            earlier_defaults=EARLIER.get(table_name, ()),
            **({} if begin is None else {"batched": _several(begin), "group": _network_of}),
        )(in_full_precision(function))

    return mark


def in_full_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute a function with products in float32; the record of a result names them and the device."""

    @wraps(function)
    def compute(*arguments: Any, job: dj.Job | None = None, **named: Any) -> Any:
        with full_precision():
            if job is not None:
                job.note(**device_notes())
            return function(*arguments, **named)

    signature = inspect.signature(function)
    job = inspect.Parameter("job", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=dj.Job | None)
    compute.__signature__ = signature.replace(parameters=[*signature.parameters.values(), job])  # pyright: ignore
    return compute


def _several(begin: Begin) -> Callable[..., list[Any]]:
    def compute(job: Sequence[dj.Job], **arguments: Sequence[Any]) -> list[Any]:
        for one in job:
            one.note(**device_notes())
        with full_precision():
            calls = [
                dict(zip(arguments, values, strict=True)) for values in zip(*arguments.values(), strict=True)
            ]
            begun = [_attempt(partial(begin, **call)) for call in calls]
            return [one if isinstance(one, Exception) else _attempt(one) for one in begun]

    return compute


def _attempt(compute: Callable[[], Any]) -> Any:
    """The result, or the exception: one level that fails leaves the others."""
    try:
        return compute()
    except Exception as error:
        return error


def _network_of(model: Mapping[str, Any], **arguments: Any) -> Any:
    return model["trained"]


def _code_of(function: Callable[..., Any], /, model: Mapping[str, Any], **arguments: Any) -> tuple[Any, ...]:
    if "network" in model:
        return evaluation_code_of(function, model, arguments)
    family = family_of(model)
    names = ("architecture", *family.settings)
    return evaluation_code(function, family.network, names, model, arguments)
