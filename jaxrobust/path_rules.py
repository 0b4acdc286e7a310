"""First-match rules over the paths of parameters: one value for each tensor, by name.

``[("w_rec", 0.1), (".*bias", 0.0), (".*", 0.05)]`` gives every tensor the value of the first rule whose
regular expression matches its whole path, ``"block1/conv/kernel"`` for a nested tree. The values may be sizes
of an attack, levels of noise, or true and false for a selection.
"""

import logging
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.trees import Parameters

Rules = Sequence[tuple[str, Any]]

_log = logging.getLogger(__name__)


class Match(NamedTuple):
    """A tensor, the rule that fits it, and the value it gets."""

    path: str
    rule: str
    value: Any


def paths(parameters: Parameters) -> list[str]:
    """The path of every leaf, names and indices joined by ``/``, in the order of ``jax.tree.leaves``."""
    return [_name(path) for path, _ in jax.tree.leaves_with_path(parameters)]


def match(rules: Rules, parameters: Parameters) -> list[Match]:
    """Find the first rule that fits each leaf; what matched is logged at level INFO.

    Args:
        rules: Pairs of a regular expression, to match a whole path, and a value.
        parameters: Any tree.

    Raises:
        InputError: An expression cannot be read, fits no leaf, or comes too late to be the first for any; or
            no rule fits a leaf.
    """
    patterns = [(rule, _compiled(rule), value) for rule, value in rules]
    names = paths(parameters)
    matches = []
    for name in names:
        fitting = [(rule, value) for rule, pattern, value in patterns if pattern.fullmatch(name)]
        if not fitting:
            given = ", ".join(repr(rule) for rule, _ in rules) or "none"
            raise InputError(
                f"No rule fits the parameter {name!r}; the rules are {given}. "
                f'End with (".*", value) for all others.{nearest(name, [rule for rule, _ in rules])}'
            )
        matches.append(Match(name, *fitting[0]))
    used = {found.rule for found in matches}
    for rule, pattern, _ in patterns:
        if rule in used:
            continue
        if any(pattern.fullmatch(name) for name in names):
            raise InputError(f"The rule {rule!r} is never used: every parameter it fits has an earlier rule.")
        raise InputError(
            f"The rule {rule!r} fits no parameter; there are {', '.join(names)}.{nearest(rule, names)}"
        )
    for found in matches:
        _log.info("%s: %r by rule %r", found.path, found.value, found.rule)
    return matches


def assign(rules: Rules, parameters: Parameters) -> Any:
    """A tree like ``parameters`` with each leaf's value by the first rule that fits its path.

    ``ParameterAttack(relative_size=assign(rules, parameters))`` attacks layer by layer;
    ``Selected(perturbation, assign([("w_.*", True), (".*", False)], parameters))`` perturbs some tensors.

    Args:
        rules: Pairs of a regular expression, to match a whole path, and a value.
        parameters: Any tree.

    Raises:
        InputError: As ``match``.
    """
    values = [found.value for found in match(rules, parameters)]
    return jax.tree.unflatten(jax.tree.structure(parameters), values)


def matching(patterns: Sequence[str], parameters: Parameters) -> Any:
    """A tree like ``parameters``, true for the leaves whose whole path fits one of the regular expressions.

    Raises:
        InputError: An expression cannot be read or fits no leaf, or none that an earlier one does not.
    """
    compiled = [_compiled(pattern) for pattern in patterns]
    rules: list[tuple[str, Any]] = [(pattern, True) for pattern in patterns]
    if not all(any(pattern.fullmatch(name) for pattern in compiled) for name in paths(parameters)):
        rules.append((".*", False))
    return assign(rules, parameters)


def _compiled(rule: str) -> re.Pattern[str]:
    try:
        return re.compile(rule)
    except re.error as error:
        raise InputError(f"The rule {rule!r} is not a regular expression: {error}.") from error


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(
        str(next(getattr(entry, name) for name in ("key", "name", "idx") if hasattr(entry, name)))
        for entry in path
    )
