"""The robust term of the training loss: same answers under attack."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
from jax import Array
from jaxtyping import Bool, Float

from jaxrobust.attacks.parameter_attack import OwnAttack, ParameterAttack, attack
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES, Apply
from jaxrobust.trees import Parameters

BoundaryLoss = Literal["kl", "reverse_kl", "js", "l2", "madry"]
BOUNDARY_LOSSES: tuple[str, ...] = get_args(BoundaryLoss)


def check_boundary_loss(boundary_loss: str, *, treat_as_constant: bool) -> None:
    """Raise ``InputError`` for a boundary loss that does not exist or has no gradient."""
    if boundary_loss not in BOUNDARY_LOSSES:
        raise InputError(f"boundary_loss must be one of {', '.join(BOUNDARY_LOSSES)}, not {boundary_loss!r}.")
    if boundary_loss == "madry" and treat_as_constant:
        raise InputError(
            "boundary_loss='madry' with treat_as_constant=True has no gradient: the task loss at constant "
            "attacked parameters does not depend on the parameters. Set treat_as_constant=False."
        )


def robust_loss(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "batch ..."],
    key: Array,
    settings: ParameterAttack | OwnAttack,
    *,
    boundary_loss: BoundaryLoss = "kl",
    treat_as_constant: bool = False,
    logits: Float[Array, "batch classes"] | None = None,
    task_loss: Callable[[Parameters], Float[Array, ""]] | None = None,
    counts: Bool[Array, "batch time"] | None = None,
) -> Float[Array, ""]:
    """How much an attack on the parameters changes the answers; add ``beta`` times this to the task loss.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, any pure function.
        parameters: Any tree of floating-point arrays.
        inputs: One batch.
        key: PRNG key of the attack's random start; a fresh one each step.
        settings: The attack.
        boundary_loss: What the attack increases and training decreases: a divergence between the logits
            with and without attack, or ``"madry"`` for the task loss at the attacked parameters.
        treat_as_constant: Whether the attacked parameters are held fixed in the gradient.
        logits: ``apply(parameters, inputs)`` if it is known already; otherwise it is computed.
        task_loss: The task loss as a function of the parameters; needed by ``"madry"`` only.
        counts: With logits per time step, the steps that count: all but padding.

    Raises:
        InputError: The boundary loss does not exist, or has no gradient, or lacks its task loss.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> parameters, inputs = {"w": jnp.eye(2)}, jnp.array([[2.0, 0.0], [0.0, 2.0]])
        >>> attack = jr.ParameterAttack(relative_size=0.5, n_steps=2)
        >>> loss = jr.robust_loss(lambda p, x: x @ p["w"], parameters, inputs, jax.random.key(0), attack)
        >>> print(f"{loss:.3f} nats")
        0.054 nats
    """
    check_boundary_loss(boundary_loss, treat_as_constant=treat_as_constant)
    if boundary_loss == "madry":
        if task_loss is None:
            raise InputError(
                "boundary_loss='madry' attacks the task loss: pass task_loss, a function of the parameters."
            )
        return task_loss(attack(task_loss, parameters, key, settings).parameters)
    divergence = DIVERGENCES[boundary_loss]
    logits = apply(parameters, inputs) if logits is None else logits
    constant_logits = jax.lax.stop_gradient(logits)
    attacked = attack(
        lambda p: divergence(constant_logits, apply(p, inputs), counts), parameters, key, settings
    ).parameters
    if treat_as_constant:
        attacked = jax.lax.stop_gradient(attacked)
    return divergence(logits, apply(attacked, inputs), counts)
