"""Methods of different parts in one program: parts that a method lacks are added with weight zero.

A separate step on trees of methods: worth it where models train side by side (a GPU), a waste of time where
they train one after the other (a CPU), as what has no effect is computed all the same.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import jax

from jaxrobust.training.methods.objective import Method
from jaxrobust.training.methods.standard import Standard


def join(methods: Sequence[Method]) -> list[Method]:
    """Give methods one structure, if adding parts without effect can do that.

    A part can be added if its class names the number that switches it off, ``neutral = {"beta": 0.0}``; the
    numbers that do not matter then are those of the method that has the part. Nested parts keep their order.

    Args:
        methods: One method per model.

    Returns:
        The methods as they are if they share a structure already or cannot be joined; else methods of one
        structure with the same losses.

    Example:
        >>> plain, robust = join([Standard(), ParameterAttackTraining(Standard(), 0.25, attack)])
        >>> plain.beta
        0.0
    """
    layers = [_layers(method) for method in methods]
    template = max(layers, key=len)
    joined = [_filled(mine, template) for mine in layers]
    given = list(methods)
    return given if any(method is None for method in joined) else [m for m in joined if m is not None]


def _nested(parts: Sequence[Any]) -> Any:
    """Put parts together, the first outermost."""
    method: Any = Standard()
    for part in reversed(parts):
        method = replace(part, base=method) if hasattr(part, "base") else part
    return method


def _layers(method: Any) -> list[Any]:
    """The method and its bases, the outermost first; what is plain training at the end is left out."""
    layers = []
    while not isinstance(method, Standard):
        layers.append(method)
        if not hasattr(method, "base"):
            break
        method = method.base
    return layers


def _filled(mine: list[Any], template: list[Any]) -> Any:
    """Put ``mine`` together in the template's structure, or give None if it has another."""
    left = list(mine)
    parts = []
    for layer in template:
        if left and _same_kind(left[0], layer):
            parts.append(left.pop(0))
        elif neutral := getattr(layer, "neutral", None):
            parts.append(replace(layer, **neutral))
        else:
            return None
    if left:
        return None
    return _nested(parts)


def _same_kind(one: Any, other: Any) -> bool:
    """Whether two layers have the same structure, whatever their bases are."""
    if type(one) is not type(other) or not is_dataclass(one):
        return False
    names = [field.name for field in fields(one) if field.name != "base"]
    static = [f.name for f in fields(one) if f.metadata.get("static")]
    return all(getattr(one, name) == getattr(other, name) for name in static) and all(
        jax.tree.structure(getattr(one, name)) == jax.tree.structure(getattr(other, name))
        for name in names
        if name not in static
    )
