"""Loss landscapes: the loss on a line through the parameters, and how steep it is.

Along a random direction ``d = |theta| std N(0, 1)`` or an adversarial one ``d = (theta* - theta) scale``, the
landscape is the loss at ``theta + alpha d`` for equally spaced ``alpha``.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.errors import InputError
from jaxrobust.measures.full_set import Loss
from jaxrobust.numerics import map_draws
from jaxrobust.trees import Number, Parameters, PerLeaf, for_every_leaf, normal_like

# Points of the published moving average.
WINDOW = 5


def random_direction(key: Array, parameters: Parameters, std: PerLeaf) -> Parameters:
    """Draw ``|theta| std N(0, 1)``, elementwise: the direction of one device's Gaussian mismatch.

    Args:
        key: PRNG key of the direction.
        parameters: Any tree of floating-point arrays.
        std: Standard deviation relative to each parameter.
    """
    return jax.tree.map(
        lambda p, n, s: jnp.abs(p) * (s * n).astype(p.dtype),
        parameters,
        normal_like(key, parameters),
        for_every_leaf(std, parameters, "std"),
    )


def losses_along(
    loss: Loss,
    parameters: Parameters,
    direction: Parameters,
    alphas: Float[Array, " points"],
    *,
    points_at_once: int = 1,
) -> Float[Array, " points"]:
    """The loss at ``parameters + alpha * direction`` for every ``alpha``.

    Args:
        loss: Function of the parameters alone, such as ``full_set.cross_entropy(apply, inputs, labels)``.
        parameters: Any tree of floating-point arrays.
        direction: Tree of the same structure and shapes.
        alphas: Where to evaluate.
        points_at_once: Points computed side by side; 1 is fastest on a CPU, many on a GPU.
    """

    def at(alpha: Array) -> Array:
        return loss(jax.tree.map(lambda p, d: p + (alpha * d).astype(p.dtype), parameters, direction))

    return jax.lax.map(at, alphas, batch_size=None if points_at_once == 1 else points_at_once)


def random_landscapes(
    loss: Loss,
    parameters: Parameters,
    key: Array,
    alphas: Float[Array, " points"],
    *,
    std: PerLeaf,
    n_repeats: int,
    points_at_once: int = 1,
) -> Float[Array, "n_repeats points"]:
    """The loss along ``n_repeats`` random directions; direction ``i`` depends on ``key`` and ``i`` alone.

    Args:
        loss: Function of the parameters alone.
        parameters: Any tree of floating-point arrays.
        key: PRNG key of all directions.
        alphas: Where to evaluate each line, such as ``jnp.linspace(-2, 2, 41)``.
        std: Length of the directions relative to each parameter.
        n_repeats: Number of directions.
        points_at_once: Points of a line computed side by side.
    """

    def of_repeat(repeat_key: Array) -> Array:
        direction = random_direction(repeat_key, parameters, std)
        return losses_along(loss, parameters, direction, alphas, points_at_once=points_at_once)

    return map_draws(of_repeat, key, n_repeats, name="repeats")


def adversarial_landscapes(
    loss: Loss,
    parameters: Parameters,
    key: Array,
    alphas: Float[Array, " points"],
    settings: ParameterAttack,
    *,
    scale: Number = 1.0,
    n_repeats: int = 1,
    points_at_once: int = 1,
) -> Float[Array, "n_repeats points"]:
    """The loss along the directions in which attacks on it end, each from a random start of its own.

    At ``scale = 1``, ``alpha = 1`` is the attacked network itself.

    Args:
        loss: What the attacks increase and what is evaluated; the published one is the cross-entropy.
        parameters: Any tree of floating-point arrays.
        key: PRNG key of all attacks.
        alphas: Where to evaluate each line.
        settings: The attacks.
        scale: Length of the directions relative to ``theta* - theta``.
        n_repeats: Number of attacks.
        points_at_once: Points of a line computed side by side.
    """

    def of_repeat(repeat_key: Array) -> Array:
        attacked = attack(loss, parameters, repeat_key, settings).parameters
        direction = jax.tree.map(lambda a, p: ((a - p) * scale).astype(p.dtype), attacked, parameters)
        return losses_along(loss, parameters, direction, alphas, points_at_once=points_at_once)

    return map_draws(of_repeat, key, n_repeats, name="repeats")


def mean_slope(
    landscapes: Float[Array, "n_repeats points"], alphas: Float[Array, " points"], *, window: int = WINDOW
) -> Float[Array, ""]:
    """How steep the mean landscape is: mean absolute change per step of ``alpha`` after smoothing.

    The curves are averaged, then smoothed by a moving average without its incomplete ends, as published.

    Args:
        landscapes: Losses on equally spaced points.
        alphas: The points.
        window: Points of the moving average.

    Raises:
        InputError: There are too few points for the moving average and a difference.
    """
    if alphas.shape[0] <= window:
        raise InputError(
            f"The slope needs more points than its moving average has ({window}), but there are "
            f"{alphas.shape[0]}."
        )
    curve = jnp.mean(landscapes, axis=0)
    smooth = jnp.convolve(curve, jnp.full(window, 1 / window, curve.dtype), mode="valid")
    return jnp.mean(jnp.abs(jnp.diff(smooth))) / (alphas[1] - alphas[0])
