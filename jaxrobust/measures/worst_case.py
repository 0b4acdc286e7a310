"""The worst case inside the box: the parameter attack at evaluation.

The gradient of every step is that of the whole data set, accumulated over chunks, and the attack is begun
anew from several random starts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.criteria import Score, is_hit
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES, Apply
from jaxrobust.measures.full_set import Loss, cross_entropy, divergence_from
from jaxrobust.measures.mismatch import accuracy
from jaxrobust.numerics import map_draws
from jaxrobust.settings import nearest
from jaxrobust.trees import Parameters


class WorstCase(NamedTuple):
    """What the attack at evaluation finds.

    Attributes:
        losses: Loss after 0 to ``n_steps`` steps of each restart; after 0 steps is at the random start.
        accuracies: Accuracy of each restart's attacked parameters.
        accuracy: The smallest of them.
        loss: Loss of that restart after its last step.
        parameters: Its attacked parameters.
        has_gradient: Whether each restart met any gradient that is not zero; without one it found nothing.
    """

    losses: Float[Array, "restarts steps_and_start"]
    accuracies: Float[Array, " restarts"]
    accuracy: Float[Array, ""]
    loss: Float[Array, ""]
    parameters: Parameters
    has_gradient: Bool[Array, " restarts"]


def evaluation_loss(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    loss: str,
    *,
    batch_size: int | None = None,
) -> Loss:
    """What an attack at evaluation increases, over the whole data set, as a function of the parameters.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: The parameters to be attacked.
        inputs: All samples.
        labels: Their classes.
        loss: ``"madry"`` for the cross-entropy, or a divergence from the logits at ``parameters``.
        batch_size: Samples computed at once.

    Raises:
        InputError: There is no such loss.
    """
    if loss == "madry":
        return cross_entropy(apply, inputs, labels, batch_size=batch_size)
    if loss not in DIVERGENCES:
        names = ("madry", *DIVERGENCES)
        raise InputError(
            f"The loss of an attack must be one of {', '.join(names)}, not {loss!r}.{nearest(loss, names)}"
        )
    return divergence_from(apply, parameters, inputs, loss, labels=labels, batch_size=batch_size)


def worst_case(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    settings: ParameterAttack,
    *,
    loss: str = "madry",
    n_restarts: int = 1,
    restarts_at_once: int = 1,
    batch_size: int | None = None,
    score: Score = is_hit,
) -> WorstCase:
    """Attack the parameters from several random starts and keep the one with the lowest accuracy.

    Restart ``i`` depends on ``key`` and ``i`` alone: more restarts only add to fewer ones.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, without dropout.
        parameters: Any tree of floating-point arrays.
        inputs: All samples.
        labels: Their classes.
        key: PRNG key of all restarts.
        settings: The attack. The published one has norm ``"inf"``.
        loss: What is increased: ``"madry"`` (cross-entropy) or a divergence from the nominal logits,
            ``"kl"``, ``"reverse_kl"``, ``"js"`` or ``"l2"``.
        n_restarts: Number of random starts.
        restarts_at_once: Restarts computed side by side; 1 is fastest on a CPU.
        batch_size: Samples computed at once; the gradient is exact whatever it is.
        score: The metric that is lowest for the kept restart; accuracy by default.

    Raises:
        InputError: There is no such loss, or no restart.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> data = jnp.array([[1.0, 0.9], [1.0, 0.0]]), jnp.array([0, 0]), jax.random.key(0)
        >>> attack = jr.ParameterAttack(relative_size=0.2, n_steps=2)
        >>> found = jr.worst_case(lambda p, x: x @ p, jnp.eye(2), *data, attack)
        >>> print(found.accuracy)
        0.5
    """
    loss_of = evaluation_loss(apply, parameters, inputs, labels, loss, batch_size=batch_size)

    def of_restart(restart_key: Array) -> tuple[Array, Array, Parameters, Array]:
        found = attack(loss_of, parameters, restart_key, settings)
        reached = accuracy(apply, found.parameters, inputs, labels, batch_size=batch_size, score=score)
        losses = jnp.append(found.losses, loss_of(found.parameters))
        return losses, reached, found.parameters, found.has_gradient

    losses, accuracies, attacked, has_gradient = map_draws(
        of_restart, key, n_restarts, name="restarts", at_once=restarts_at_once
    )
    worst = jnp.argmin(accuracies)
    return WorstCase(
        losses=losses,
        accuracies=accuracies,
        accuracy=accuracies[worst],
        loss=losses[worst, -1],
        parameters=jax.tree.map(lambda leaf: leaf[worst], attacked),
        has_gradient=has_gradient,
    )
