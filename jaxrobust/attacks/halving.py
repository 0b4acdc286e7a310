"""Step halving at checkpoints (Croce and Hein 2020, arXiv 2003.01690, algorithm 1).

At the checkpoint ``w_j`` a step length is halved, and the search goes on from the best point, if

1. the loss rose in fewer than 75 % of the steps since ``w_{j-1}``, or
2. the step was not halved at ``w_{j-1}`` and the best loss has not changed since.

Checkpoints are ``w_j = ceil(p_j n)`` with ``p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03,
0.06)``, computed in whole percent and hence exactly: 5, 9, 12, 14, 16, 18, 19 and 20 of 20 steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, PyTree

from jaxrobust.trees import Number

RISING = 0.75
FIRST, SHRINK, SHORTEST = 22, 3, 6  # percent of the steps


def expand(numbers: Array | float, leaf: Array) -> Array:
    """Give an array of numbers trailing axes of size 1, so that it broadcasts over ``leaf``."""
    numbers = jnp.asarray(numbers)
    if numbers.ndim == 0:
        return numbers
    return numbers.reshape(numbers.shape + (1,) * (leaf.ndim - numbers.ndim))


class StepHalving(NamedTuple):
    """The step length of every number, and what its checkpoints compare.

    Attributes:
        eta: Step length.
        best: Largest loss.
        point: Where it is.
        move: The direction there.
        last: Loss of the step before.
        n_rising: Steps since the last checkpoint in which the loss rose.
        best_before: Largest loss at the last checkpoint.
        was_halved: Whether the step was halved there.
        before: The last checkpoint.
        checkpoint: The next checkpoint.
        percent: The next checkpoint in percent of all steps.
        width: How many percent after the last one.
        n_steps: Number of all steps.
    """

    eta: Float[Array, "*numbers"]
    best: Float[Array, "*numbers"]
    point: PyTree[Array]
    move: PyTree[Array]
    last: Float[Array, "*numbers"]
    n_rising: Int[Array, "*numbers"]
    best_before: Float[Array, "*numbers"]
    was_halved: Bool[Array, "*numbers"]
    before: Int[Array, ""]
    checkpoint: Int[Array, ""]
    percent: Int[Array, ""]
    width: Int[Array, ""]
    n_steps: Int[Array, ""]

    def update(self, index: Array, point: PyTree[Array], loss: Array, move: PyTree[Array]):
        """Take in the point of step ``index``.

        Returns:
            The new state, and the point and direction from which to go on.
        """
        is_first = index == 0
        improved = (loss > self.best) | (is_first & ~jnp.isnan(loss))
        best = jnp.where(improved, loss, self.best)
        best_point, best_move = (
            jax.tree.map(lambda a, b: jnp.where(expand(improved, a), a, b), new, old)
            for new, old in ((point, self.point), (move, self.move))
        )
        n_rising = self.n_rising + (~is_first & (loss > self.last)).astype(jnp.int32)
        best_before = jnp.where(is_first, best, self.best_before)

        is_checkpoint = index == self.checkpoint
        few = n_rising.astype(float) < RISING * (self.checkpoint - self.before).astype(float)
        stuck = ~self.was_halved & (best == best_before)
        halve = is_checkpoint & (few | stuck)
        width = jnp.where(is_checkpoint, jnp.maximum(self.width - SHRINK, SHORTEST), self.width)
        percent = jnp.where(is_checkpoint, self.percent + width, self.percent)
        following = jnp.maximum(_checkpoint(percent, self.n_steps), self.checkpoint + 1)
        new = self._replace(
            eta=jnp.where(halve, self.eta / 2, self.eta),
            best=best,
            point=best_point,
            move=best_move,
            last=loss,
            n_rising=jnp.where(is_checkpoint, 0, n_rising),
            best_before=jnp.where(is_checkpoint, best, best_before),
            was_halved=jnp.where(is_checkpoint, halve, self.was_halved),
            before=jnp.where(is_checkpoint, self.checkpoint, self.before),
            checkpoint=jnp.where(is_checkpoint, following, self.checkpoint),
            percent=percent,
            width=width,
        )
        point, move = (
            jax.tree.map(lambda a, b: jnp.where(expand(halve, a), a, b), ours, theirs)
            for ours, theirs in ((best_point, point), (best_move, move))
        )
        return new, point, move


def _checkpoint(percent: Array, n_steps: Array) -> Array:
    return (percent * n_steps + 99) // 100


def start_halving(start: PyTree[Array], lowest: Array, step: Number, n_steps: Number) -> StepHalving:
    """The state before the first step.

    Args:
        start: The first point.
        lowest: A loss below all others, for every number.
        step: The first step length.
        n_steps: Number of steps.
    """
    n_steps = jnp.asarray(n_steps, jnp.int32)
    percent = jnp.int32(FIRST)
    return StepHalving(
        eta=jnp.broadcast_to(jnp.asarray(step, lowest.dtype), lowest.shape),
        best=lowest,
        point=start,
        move=jax.tree.map(jnp.zeros_like, start),
        last=lowest,
        n_rising=jnp.zeros(lowest.shape, jnp.int32),
        best_before=lowest,
        was_halved=jnp.zeros(lowest.shape, bool),
        before=jnp.int32(0),
        checkpoint=jnp.maximum(_checkpoint(percent, n_steps), 1),
        percent=percent,
        width=percent,
        n_steps=n_steps,
    )
