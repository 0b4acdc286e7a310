"""Masks: trees of booleans like the parameters, false where a weight is pruned.

Every leaf is an array of its parameter's shape, also where nothing is pruned, so that masks are arguments of
a compiled program (other masks recompile nothing), map over an axis of models, and are saved like parameters.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int, PyTree

from jaxrobust.errors import InputError
from jaxrobust.path_rules import matching, paths
from jaxrobust.trees import Parameters

Masks = PyTree[Bool[Array, "..."]]
ALL = (".*",)


def full(parameters: Parameters) -> Masks:
    """Return masks that prune nothing.

    Example:
        >>> full({"w": jnp.zeros((2, 2))})["w"].tolist()
        [[True, True], [True, True]]
    """
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), parameters)


def apply_masks(parameters: Parameters, masks: Masks) -> Parameters:
    """Set pruned weights to zero.

    Raises:
        InputError: The masks are no tree like the parameters.
    """
    check_masks(parameters, masks)
    # By selection: a product would leave -0.0, and NaN where a pruned weight is infinite.
    return jax.tree.map(lambda p, m: jnp.where(m, p, jnp.zeros_like(p)), parameters, masks)


def check_masks(parameters: Parameters, masks: Masks) -> None:
    """Raise ``InputError`` for masks that are no tree like the parameters."""
    if jax.tree.structure(parameters) != jax.tree.structure(masks):
        raise InputError(
            f"Masks must be a tree like the parameters, {jax.tree.structure(parameters)}, not "
            f"{jax.tree.structure(masks)}; begin with full(parameters)."
        )
    shapes = [
        (name, np.shape(p), np.shape(m))
        for name, p, m in zip(
            paths(parameters), jax.tree.leaves(parameters), jax.tree.leaves(masks), strict=True
        )
    ]
    for name, expected, given in shapes:
        if expected != given:
            raise InputError(f"The mask of {name!r} has shape {given}, but the parameter has {expected}.")


def kept_counts(masks: Masks, parameters: Sequence[str] = ALL) -> dict[str, tuple[int, int]]:
    """Count kept weights and all weights of each tensor, by path.

    Args:
        masks: The masks.
        parameters: Regular expressions for the paths that are counted.

    Example:
        >>> kept_counts({"w": jnp.array([True, False, True])})
        {'w': (2, 3)}
    """
    chosen = jax.tree.leaves(matching(parameters, masks))
    leaves = zip(paths(masks), jax.tree.leaves(masks), chosen, strict=True)
    return {name: (int(np.sum(np.asarray(leaf))), np.size(leaf)) for name, leaf, is_in in leaves if is_in}


def density(masks: Masks, parameters: Sequence[str] = ALL) -> float:
    """The share of weights that is kept, over all tensors that are named."""
    counts = kept_counts(masks, parameters).values()
    return sum(kept for kept, _ in counts) / sum(total for _, total in counts)


def overlap(one: Masks, other: Masks, parameters: Sequence[str] = ALL) -> dict[str, float]:
    """Compute the Jaccard index of two masks per tensor: kept in both, of those kept in any.

    Independent masks of density ``d`` have ``d / (2 - d)``; equal masks 1, as do two that keep nothing.

    Returns:
        The index of every tensor by path, and under ``"all"`` that of all of them together.

    Raises:
        InputError: The masks are of different networks.
    """
    check_masks(one, other)
    chosen = jax.tree.leaves(matching(parameters, one))
    counts: dict[str, tuple[int, int]] = {}
    for name, a, b, is_in in zip(
        paths(one), jax.tree.leaves(one), jax.tree.leaves(other), chosen, strict=True
    ):
        if is_in:
            counts[name] = (int(np.sum(np.logical_and(a, b))), int(np.sum(np.logical_or(a, b))))
    counts["all"] = (sum(both for both, _ in counts.values()), sum(any_ for _, any_ in counts.values()))
    return {name: both / any_ if any_ else 1.0 for name, (both, any_) in counts.items()}


def kept_per_input(mask: Bool[Array, "inputs units"]) -> Int[np.ndarray, " inputs"]:
    """Count the kept weights of every input of a fully connected layer.

    Reshaped to the image it is a heat map of the pixels that a ticket reads.

    Raises:
        InputError: The mask is no matrix.
    """
    if np.ndim(mask) != 2:
        raise InputError(f"Weights per input are counted in a matrix (inputs, units), not {np.shape(mask)}.")
    return np.asarray(mask, bool).sum(axis=1)
