"""Some of the parameters, by their names."""

from collections.abc import Sequence

import jax
from jax import Array

from jaxrobust.path_rules import matching
from jaxrobust.trees import Parameters


def selected(names: Sequence[str], parameters: Parameters) -> list[Array]:
    """The tensors whose path fits one of the regular expressions ``names``, as ``("w_rec", "block1/.*")``.

    Raises:
        InputError: An expression cannot be read or fits no parameter.
    """
    leaves, where = jax.tree.leaves(parameters), jax.tree.leaves(matching(names, parameters))
    return [leaf for leaf, is_selected in zip(leaves, where, strict=True) if is_selected]
