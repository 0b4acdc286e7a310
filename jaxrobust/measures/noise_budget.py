"""The cheapest executions for a target accuracy, given the measured noise of every layer.

Small noises at several positions add up like variances: with noise ``s_l`` executed ``n_l`` times at a
position of midpoint ``mu_l``, the network is where a single noise of

    rho^2 = sum_l (s_l / mu_l)^2 / n_l

midpoints would put it, and its accuracy is ``c + (a0 - c) / (1 + rho^(k / ln 10))``. Without repetition and
with one ``s`` everywhere this predicts the midpoint of noise at all positions,
``1 / mu^2 = sum_l 1 / mu_l^2``. The plan of least cost under this prediction has ``n_l`` in proportion to
``s_l / mu_l``, which is why the scaling ``inverse_lin`` does well.
"""

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxrobust.errors import InputError
from jaxrobust.measures.midpoint import Midpoint

MOST_EXECUTIONS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Executions of every layer.

    Attributes:
        executions: By position.
        cost: Sum of executions times their cost.
        predicted: Predicted accuracy.
        simulated: Accuracy by simulation, where there was one.
    """

    executions: dict[str, int]
    cost: float
    predicted: float
    simulated: float | None = None


def predicted_accuracy(
    midpoints: Mapping[str, Midpoint], stds: Mapping[str, float], executions: Mapping[str, int] | None = None
) -> float:
    """Predict the accuracy of a network with noise at several positions.

    Args:
        midpoints: By position. One that is censored above counts with the largest level measured, so that
            the prediction is too low rather than too high.
        stds: Measured standard deviation of the noise by position; positions that are missing have none.
        executions: By position; 1 where missing.

    Raises:
        InputError: A position has noise and no midpoint.
    """
    squares = _squares(midpoints, stds)
    counts = {name: (executions or {}).get(name, 1) for name in squares}
    return _accuracy(midpoints, squares, sum(square / counts[name] for name, square in squares.items()))


def cheapest_plan(
    midpoints: Mapping[str, Midpoint],
    stds: Mapping[str, float],
    target: float,
    *,
    costs: Mapping[str, float] | None = None,
    simulate: Callable[[Mapping[str, int]], float] | None = None,
) -> Plan:
    """Find the cheapest executions whose predicted accuracy reaches a target.

    Executions are added one by one where they lower the noise most per cost, which is optimal for the
    prediction. With ``simulate``, the prediction is corrected until the simulated accuracy reaches the
    target.

    Args:
        midpoints: By position.
        stds: Measured noise by position.
        target: Accuracy to reach, as a fraction.
        costs: Cost of one execution by position, such as operations or energy; 1 each by default.
        simulate: Accuracy of the network with given executions, such as by ``noise_accuracies``.

    Raises:
        InputError: No number of executions reaches the target.
    """
    squares = _squares(midpoints, stds)
    clean, _, _ = _curve(midpoints, squares)
    if not target < clean:
        raise InputError(
            f"The target accuracy {target:.4g} is not below that without noise ({clean:.4g}): no number of "
            f"executions reaches it."
        )
    bound, simulated = _allowed(midpoints, squares, target), None
    for _ in range(20):
        executions = _fill(squares, bound, dict(costs or {}))
        predicted = predicted_accuracy(midpoints, stds, executions)
        cost = sum((costs or {}).get(name, 1.0) * n for name, n in executions.items())
        simulated = None if simulate is None else float(simulate(executions))
        if simulated is None or simulated >= target:
            return Plan(executions, cost, predicted, simulated)
        # What was reached tells how much noise it really amounts to; at least 3 % less is tried next.
        bound *= min(0.97, _allowed(midpoints, squares, target) / _allowed(midpoints, squares, simulated))
    raise InputError(
        f"Simulation reaches {simulated:.4g} of the target {target:.4g}: "
        f"the target is too close to the accuracy without noise."
    )


def _squares(midpoints: Mapping[str, Midpoint], stds: Mapping[str, float]) -> dict[str, float]:
    for name, std in stds.items():
        if name not in midpoints:
            raise InputError(f"{name!r} has noise but no midpoint; there are {', '.join(midpoints)}.")
        if not (math.isfinite(std) and std >= 0):
            raise InputError(f"The noise at {name!r} must be finite and not negative, not {std!r}.")
    return {name: (std / midpoints[name].value) ** 2 for name, std in stds.items() if std > 0}


def _curve(midpoints: Mapping[str, Midpoint], squares: Mapping[str, float]) -> tuple[float, float, float]:
    """Accuracy without noise, chance and exponent of the common curve: means weighted by noise."""
    fitted = {name: m for name, m in midpoints.items() if not math.isnan(m.slope)}
    if not fitted:
        raise InputError("All midpoints are censored, so that nothing is known about the fall of accuracy.")
    weights = {name: squares.get(name, 0.0) + 1e-9 for name in fitted}
    total = sum(weights.values())

    def mean(attribute: str) -> float:
        return sum(weights[name] * getattr(m, attribute) for name, m in fitted.items()) / total

    return mean("clean"), mean("chance"), mean("slope") / math.log(10)


def _accuracy(midpoints: Mapping[str, Midpoint], squares: Mapping[str, float], rho_squared: float) -> float:
    clean, chance, exponent = _curve(midpoints, squares)
    return chance + (clean - chance) / (1 + rho_squared ** (exponent / 2))


def _allowed(midpoints: Mapping[str, Midpoint], squares: Mapping[str, float], accuracy: float) -> float:
    """The sum of squares at which an accuracy is predicted."""
    clean, chance, exponent = _curve(midpoints, squares)
    accuracy = min(max(accuracy, chance + 1e-3 * (clean - chance)), clean - 1e-6)
    return ((clean - chance) / (accuracy - chance) - 1) ** (2 / exponent)


def _fill(squares: Mapping[str, float], bound: float, costs: dict[str, float]) -> dict[str, int]:
    """Add executions until the sum of ``square / n`` is at most ``bound``."""
    counts = dict.fromkeys(squares, 1)
    total, n_all = sum(squares.values()), len(counts)

    def entry(name: str) -> tuple[float, str]:
        n = counts[name]
        return -squares[name] / (n * (n + 1)) / costs.get(name, 1.0), name

    queue = [entry(name) for name in squares]
    heapq.heapify(queue)
    while total > bound:
        if n_all >= MOST_EXECUTIONS:
            raise InputError(f"More than {MOST_EXECUTIONS} executions would be needed: lower the target.")
        _, name = heapq.heappop(queue)
        total -= squares[name] / (counts[name] * (counts[name] + 1))
        counts[name] += 1
        n_all += 1
        heapq.heappush(queue, entry(name))
    return counts
