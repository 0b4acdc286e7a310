"""Masks: which front channel may reach which end channel."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64
from scipy.optimize import linear_sum_assignment

from jaxrobust.errors import InputError

MaskRule = Literal["semi_match", "absolute_semi_match", "random_permutation", "hungarian"]


def mask_by(
    rule: MaskRule, correlations: Float64[np.ndarray, "in out"], seed: int = 0
) -> Float32[np.ndarray, "in out"]:
    """Return ones where a stitch may have weights, one per end channel.

    Args:
        rule: ``"semi_match"`` takes the front channel with the largest correlation for each end channel, so
            that one may serve several; ``"absolute_semi_match"`` the largest absolute correlation;
            ``"random_permutation"`` a random one, each once; ``"hungarian"`` the bijection with the largest
            sum of correlations. With fewer front than end channels a bijection leaves some without any.
        correlations: ``NormalEquations.correlations()`` of training data.
        seed: Of the random permutation.

    Raises:
        InputError: There is no such rule.

    Example:
        >>> mask_by("hungarian", np.array([[0.9, 0.8], [0.8, 0.1]]))
        array([[0., 1.],
               [1., 0.]], dtype=float32)
    """
    if rule not in get_args(MaskRule):
        raise InputError(f"A mask is made by {', '.join(get_args(MaskRule))}, not {rule!r}.")
    n, out = correlations.shape
    mask = np.zeros((n, out), np.float32)
    if rule == "hungarian":
        rows, columns = linear_sum_assignment(correlations, maximize=True)
    elif rule == "random_permutation":
        columns = np.arange(min(n, out))
        rows = np.random.default_rng(seed).permutation(n)[: len(columns)]
    else:
        scores = np.abs(correlations) if rule == "absolute_semi_match" else correlations
        rows, columns = scores.argmax(0), np.arange(out)
    mask[rows, columns] = 1
    return mask
