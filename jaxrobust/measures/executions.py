"""How often to execute each layer on noisy hardware: plans of repetitions from midpoint noise levels.

Averaging ``n`` executions of a layer divides its noise by ``sqrt(n)``. A plan gives every position a whole
number of executions, from its midpoint ``mu`` (large: tolerates much noise) and a budget.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest

Scaling = Literal[
    "inverse_sqrt",
    "inverse_lin",
    "inverse_square",
    "sqrt",
    "log10",
    "inverse_log10",
    "layer_sort",
    "layer_sort_inverse",
    "layer_sort_bins_of_two",
    "layer_sort_bins_of_three",
    "layer_sort_inverse_bins_of_two",
    "layer_sort_inverse_bins_of_three",
]
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)
Ranks = Literal["correct", "published"]
Weights = Float64[np.ndarray, " positions"]


def plan_executions(
    midpoints: Mapping[str, float],
    mean_executions: float,
    scaling: Scaling = "inverse_lin",
    *,
    ranks: Ranks = "correct",
) -> dict[str, int]:
    """Divide a budget of executions among positions by their midpoints.

    Args:
        midpoints: Midpoint noise level by position.
        mean_executions: Budget: executions per position on average, at least 1.
        scaling: Weight of a position: ``"inverse_lin"`` is ``1 / mu``, the best one measured; see
            ``scaling_weights``.
        ranks: For the scalings by rank, ``"published"`` repeats an error in the published tables: they use
            the order where the rank is meant.

    Returns:
        Executions by position, at least 1 each, whose sum is ``round(positions * mean_executions)``.

    Raises:
        InputError: A midpoint is not positive and finite, the budget is too small, or there is no such
            scaling.

    Example:
        >>> plan_executions({"input": 0.5, "fc1": 3.1, "logits": 37.0}, 5)
        {'input': 12, 'fc1': 2, 'logits': 1}
    """
    mu = np.array(list(midpoints.values()), float)
    if not len(mu) or not np.all(np.isfinite(mu) & (mu > 0)):
        raise InputError(
            f"Midpoints must be finite and above 0, not {dict(midpoints)}; give censored ones a value."
        )
    weights = scaling_weights(mu, scaling, ranks=ranks)
    counts = apportion(weights, round(mean_executions * len(mu)))
    return dict(zip(midpoints, counts.tolist(), strict=True))


def scaling_weights(mu: Weights, scaling: Scaling, *, ranks: Ranks = "correct") -> Weights:
    """Compute the weight of every position under one of the twelve published scalings.

    With the lowest and highest ``L = log10 mu``: ``inverse_sqrt``, ``inverse_lin`` and ``inverse_square`` are
    powers of ``1 / mu``; ``sqrt`` and ``log10`` are reflected, ``sqrt(min) + sqrt(max) - sqrt(mu)`` and
    ``L_min + L_max - L``; ``inverse_log10`` is ``1 / L``, which changes its sign at ``mu = 1`` and is kept
    for comparison only. Scalings by rank use the place ``p`` of a position in the order of rising midpoints
    (0: the most sensitive), possibly in bins: ``layer_sort`` ``N - p``, ``layer_sort_inverse``
    ``1 / (1 + p)``.

    Raises:
        InputError: There is no such scaling.
    """
    if scaling not in SCALINGS:
        hint = nearest(str(scaling), SCALINGS)
        raise InputError(f"There is no scaling {scaling!r}; there are {', '.join(SCALINGS)}.{hint}")
    if scaling.startswith("layer_sort"):
        return _rank_weights(mu, scaling, ranks)
    log = np.log10(mu)
    with np.errstate(divide="ignore"):
        return {
            "inverse_sqrt": mu**-0.5,
            "inverse_lin": 1 / mu,
            "inverse_square": mu**-2.0,
            "sqrt": np.sqrt(mu.min()) + np.sqrt(mu.max()) - np.sqrt(mu),
            "log10": log.min() + log.max() - log,
            "inverse_log10": 1 / log,
        }[scaling]


def _rank_weights(mu: Weights, scaling: str, ranks: Ranks) -> Weights:
    order = np.argsort(mu, kind="stable")
    # The rank is the inverse permutation of the order, which the published tables use in its place.
    place = order if ranks == "published" else np.argsort(order, kind="stable")
    size = 2 if scaling.endswith("two") else 3 if scaling.endswith("three") else 1
    n_bins = -(-len(mu) // size)
    bins = place // size
    return 1 / (1 + bins) if scaling.startswith("layer_sort_inverse") else (n_bins - bins).astype(float)


def apportion(weights: Sequence[float] | Weights, budget: int) -> np.ndarray:
    """Divide a whole budget in proportion to weights, at least 1 to each, by largest remainders.

    Positions whose share is below 1 get 1, and the rest is divided among the others again.

    Raises:
        InputError: The budget is smaller than the number of weights, or the weights do not say anything.

    Example:
        >>> apportion([8.0, 1.0, 0.1], 6).tolist()
        [4, 1, 1]
    """
    given = np.asarray(weights, float)
    if budget < len(given):
        raise InputError(
            f"{len(given)} positions need at least one execution each, but the budget is {budget}."
        )
    if not np.isfinite(given).all() or given.sum() == 0:
        raise InputError(f"Weights must be finite and not sum up to 0, not {given}.")
    given = given / given.sum()
    is_free, counts = np.ones(len(given), bool), np.ones(len(given), int)
    while is_free.any():
        left = budget - np.sum(~is_free)
        share = left * given / given[is_free].sum()
        is_small = is_free & (share < 1)
        if not is_small.any():
            counts[is_free] = np.floor(share[is_free])
            remainders = np.where(is_free, share - np.floor(share), -1.0)
            n_left = budget - counts.sum()
            for index in np.argsort(-remainders, kind="stable").tolist()[: int(n_left)]:
                counts[index] += 1
            break
        is_free &= ~is_small
    return counts
