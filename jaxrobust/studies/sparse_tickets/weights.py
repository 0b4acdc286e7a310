"""Evaluations of masks and start weights: overlap of tickets, the pixels they read, histograms."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

import datajuicer as dj
from jaxrobust.errors import InputError
from jaxrobust.path_rules import paths
from jaxrobust.pruning.masks import kept_per_input, overlap
from jaxrobust.studies.side_by_side import dataset_of
from jaxrobust.studies.sources import WITHIN
from jaxrobust.studies.sparse_tickets.rounds import MASKS, masks_of
from jaxrobust.studies.training_points import network_of


def _of_masks(dependencies: Sequence[str], table_name: str) -> Callable[[Callable[..., Any]], dj.Cachable]:
    """Mark an evaluation of masks as cachable; the code of its helpers counts, that of the data does not."""

    def mark(function: Callable[..., Any]) -> dj.Cachable:
        code_of = partial(_code_of, function)
        return dj.cachable(dependencies, table_name=table_name, code_of=code_of, code_within=WITHIN)(function)

    return mark


def _code_of(function: Callable[..., Any], /, **arguments: Any) -> tuple[Any, ...]:
    return (function,)


def _network(point: Mapping[str, Any]) -> Any:
    if MASKS not in point:
        raise InputError("The grid point holds no masks; give a finished round of pruning.")
    return network_of(point, dataset_of(point))


@_of_masks(["one:trained", "other:trained"], "mask_overlap")
def mask_overlap(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Jaccard index of the masks of two finished rounds, per parameter and of ``"all"``."""
    network = _network(one)
    return overlap(masks_of(one, network), masks_of(other, network))


@_of_masks(["model:trained", "parameter"], "input_map")
def input_map(model: dict[str, Any], parameter: str = "w1") -> list[int]:
    """How many weights of a layer on the inputs are kept for every input of a finished round, in their order.

    Args:
        model: A finished round.
        parameter: The path of the layer's weights.
    """
    masks = masks_of(model, _network(model))
    named = dict(zip(paths(masks), jax.tree.leaves(masks), strict=True))
    if parameter not in named:
        raise InputError(f"The network has no parameter {parameter!r}; there are {', '.join(named)}.")
    return kept_per_input(named[parameter]).tolist()


@_of_masks(["model:trained", "n_bins"], "start_weights")
def start_weights(model: dict[str, Any], n_bins: int = 60) -> dict[str, dict[str, list[float]]]:
    """Histogram of the kept weights that a finished round started from, per parameter.

    Args:
        model: A finished round.
        n_bins: Bins between the smallest and the largest.

    Returns:
        By path, ``edges`` (one more than bins) and ``density`` of the weights.
    """
    network = _network(model)
    start = model["strategy"].start(model, network).parameters
    found = {}
    for name, leaf, mask in zip(
        paths(start), jax.tree.leaves(start), jax.tree.leaves(masks_of(model, network)), strict=True
    ):
        density, edges = np.histogram(np.asarray(leaf)[np.asarray(mask)], n_bins, density=True)
        found[name] = {"edges": edges.tolist(), "density": density.tolist()}
    return found
