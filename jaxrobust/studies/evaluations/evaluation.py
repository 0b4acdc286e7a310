"""What evaluations of trained grid points have in common: caching, and whose code they depend on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import datajuicer as dj
from jaxrobust.studies.earlier_defaults import EARLIER
from jaxrobust.studies.parameter_noise.catalogue import family_of
from jaxrobust.studies.sources import WITHIN, evaluation_code
from jaxrobust.studies.training_points import evaluation_code_of


def evaluation(dependencies: Sequence[str], table_name: str) -> Callable[[Callable[..., Any]], dj.Cachable]:
    """Mark an evaluation of trained grid points (its argument ``model``) as cachable.

    Args:
        dependencies: As for ``datajuicer.cachable``.
        table_name: Its name in the store.
    """

    def mark(function: Callable[..., Any]) -> dj.Cachable:
        return dj.cachable(
            dependencies,
            table_name=table_name,
            code_of=partial(_code_of, function),
            code_within=WITHIN,
            earlier_defaults=EARLIER.get(table_name, ()),
        )(function)

    return mark


def _code_of(function: Callable[..., Any], /, model: Mapping[str, Any], **arguments: Any) -> tuple[Any, ...]:
    if "network" in model:
        return evaluation_code_of(function, model, arguments)
    family = family_of(model)
    names = ("architecture", *family.settings)
    return evaluation_code(function, family.network, names, model, arguments)
