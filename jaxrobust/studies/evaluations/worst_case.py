"""Accuracy under the worst parameters that an attack finds inside a box around the trained ones."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

import datajuicer as dj
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, apply_of, load_trained, vmap_size

# The published protocol (figure 3).
ATTACK_SIZES = (0.0, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)


@partial(jax.jit, static_argnames=("network", "loss", "n_restarts", "at_once"))
def _worst_case(
    network,
    variables,
    inputs,
    labels,
    key: Array,
    attack: ParameterAttack,
    loss: str,
    n_restarts: int,
    at_once: int,
):
    found = worst_case(
        apply_of(network, variables),
        variables.parameters,
        inputs,
        labels,
        key,
        attack,
        loss=loss,
        n_restarts=n_restarts,
        restarts_at_once=at_once,
        batch_size=BATCH_SIZE,
    )
    return found.accuracies, found.losses


@evaluation(
    dependencies=[
        "model:trained",
        "size",
        "n_steps",
        "loss",
        "n_restarts",
        "seed",
        "n_samples?=0",
        "absolute_size?=0.0",
    ],
    table_name="worst_case_accuracy",
)
def worst_case_accuracy(
    model: dict[str, Any],
    size: float,
    n_steps: int = 10,
    loss: str = "madry",
    n_restarts: int = 1,
    seed: int = 0,
    n_samples: int = 0,
    absolute_size: float = 0.0,
) -> dict[str, Any]:
    """Test accuracy under an attack with exact gradients of the whole test set.

    Args:
        model: A trained grid point.
        size: Half the width of the box relative to each parameter.
        n_steps: Steps of the attack.
        loss: ``"madry"`` for the cross-entropy, ``"kl"`` for the divergence from the network's own answers.
        n_restarts: Random starts.
        seed: Seed of the starts.
        n_samples: Test samples, taken at even distances; 0 for all.
        absolute_size: Half the width of the box that all parameters have in common.

    Returns:
        ``accuracy``, the minimum over the restarts; ``accuracies`` of all; ``losses`` after 0 to ``n_steps``
        steps of each.
    """
    attack = ParameterAttack(relative_size=size, absolute_size=absolute_size, n_steps=n_steps)
    accuracies, losses = _worst_case(
        *load_trained(model, n_samples=n_samples),
        jax.random.key(seed),
        jax.tree.map(jnp.float32, attack),
        loss,
        n_restarts,
        vmap_size(n_restarts),
    )
    return {
        "accuracy": float(jnp.min(accuracies)),
        "accuracies": accuracies.tolist(),
        "losses": losses.tolist(),
    }


def worst_case_sweep(
    grid: Sequence[dict[str, Any]],
    sizes: Sequence[float] = ATTACK_SIZES,
    losses: Sequence[str] = ("madry",),
    **how: Any,
) -> list[dict[str, Any]]:
    """Attack trained points: a point for each ``size`` and ``attack_loss``, with its ``worst_case``.

    Args:
        grid: Trained grid points; ``n_samples`` of a point replaces all test samples.
        sizes: Half the widths of the boxes, relative to each parameter.
        losses: What the attacks increase.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split([{"n_samples": 0, **point} for point in grid], "size", list(sizes))
    points = dj.split(points, "attack_loss", list(losses))
    return dj.run(points, worst_case_accuracy, store_key="worst_case", **how)(
        "{*}", "{size}", loss="{attack_loss}", n_samples="{n_samples}"
    )
