"""Some of the parameters, by their names."""

import re
from collections.abc import Sequence

import jax
from jax import Array

from jaxrobust.models.network import Parameters
from jaxrobust.robustness.path_rules import match, paths


def selected(names: Sequence[str], parameters: Parameters) -> list[Array]:
    """The tensors whose path fits one of the regular expressions ``names``, as ``("w_rec", "block1/.*")``.

    Raises:
        InputError: An expression cannot be read or fits no parameter.
    """
    everything = paths(parameters)
    rules = [(name, True) for name in names]
    if not all(any(re.fullmatch(name, path) for name in names) for path in everything):
        rules.append((".*", False))
    leaves = jax.tree.leaves(parameters)
    return [leaf for leaf, found in zip(leaves, match(rules, parameters), strict=True) if found.value]
