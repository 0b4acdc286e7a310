"""The midpoint noise level by few evaluations, for networks that must be trained at every level."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxrobust.errors import InputError
from jaxrobust.measures.midpoint import Censored

# Between these parts of the whole fall, a logistic curve says where its midpoint lies.
INFORMATIVE = (0.04, 0.96)
# So close to half-way, interpolation ends the search.
CLOSE = 0.04


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        value: The midpoint; the end of the range if it is censored.
        censored: ``"above"`` or ``"below"`` the range, or ``"no"``.
        evaluations: Accuracy at every level that was evaluated, in the order of evaluation.
    """

    value: float
    censored: Censored
    evaluations: dict[float, float]


def search_midpoint(
    evaluate: Callable[[float], float],
    low: float,
    high: float,
    *,
    clean: float,
    chance: float = 0.1,
    n_evaluations: int = 9,
) -> Search:
    """Find where accuracy is half-way between ``clean`` and ``chance``.

    The largest level comes first, as it tells whether there is a midpoint at all; then the logarithm of the
    range is halved until accuracies on both sides lie on the slope of the curve, and a logistic curve is
    interpolated. Nine evaluations reach 5 % over twelve decades.

    Args:
        evaluate: Accuracy at a level, for example of a network trained at it.
        low: Smallest level, where accuracy is taken to be ``clean``.
        high: Largest level.
        clean: Accuracy without noise.
        chance: Accuracy of guessing.
        n_evaluations: At most so many.

    Raises:
        InputError: The range is empty, ``clean`` is not above ``chance``, or there are too few evaluations.

    Example:
        >>> found = search_midpoint(lambda s: 0.1 + 0.8 / (1 + s / 3), 1e-2, 1e10, clean=0.9)
        >>> abs(found.value - 3) < 0.1, len(found.evaluations) <= 9
        (True, True)
    """
    if not (0 < low < high and clean > chance and n_evaluations >= 2):
        raise InputError(
            f"A search needs 0 < low < high, clean > chance and at least 2 evaluations, not low={low}, "
            f"high={high}, clean={clean}, chance={chance}, n_evaluations={n_evaluations}."
        )
    evaluations: dict[float, float] = {}

    def height(level: float) -> float:
        """How much of the fall is still to come: 1 without noise, 0 at chance."""
        evaluations[level] = evaluate(level)
        return (evaluations[level] - chance) / (clean - chance)

    left, right = (math.log10(low), None), (math.log10(high), height(high))
    if right[1] > 0.5:
        return Search(high, "above", evaluations)
    for _ in range(n_evaluations - 1):
        # Kept a little away from both ends, so that a step always shrinks the range.
        guess = _crossing(left, right, margin=0.05)
        here = (left[0] + right[0]) / 2 if guess is None else guess
        measured = here, height(10**here)
        left, right = (measured, right) if measured[1] > 0.5 else (left, measured)
        if guess is not None and abs(measured[1] - 0.5) < CLOSE:
            break
    if left[1] is None:
        return Search(low, "below", evaluations)
    found = _crossing(left, right, margin=0.0)
    return Search(10 ** ((left[0] + right[0]) / 2 if found is None else found), "no", evaluations)


def _crossing(
    left: tuple[float, float | None], right: tuple[float, float | None], margin: float
) -> float | None:
    """Where a logistic curve through both points is half-way; None if they do not say."""
    if left[1] is None or right[1] is None:
        return None
    if not (left[1] < INFORMATIVE[1] and right[1] > INFORMATIVE[0]):
        return None
    a, b = (math.log(h / (1 - h)) for h in (left[1], right[1]))
    share = min(max(a / (a - b), margin), 1 - margin)
    return left[0] + share * (right[0] - left[0])
