"""Accuracy of trained grid points on attacked inputs, without training them again."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

import datajuicer as dj
from jaxrobust.attacks.input_attack import AttackOnInputs, attack_inputs
from jaxrobust.criteria import is_hit
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.registry import ensure_trees
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, apply_of, load_trained


@partial(jax.jit, static_argnames="network")
def _attacked(network, variables, inputs, labels, key: Array, attack: AttackOnInputs) -> dict[str, Array]:
    apply = apply_of(network, variables)
    chunks, is_real = in_chunks((inputs, labels), BATCH_SIZE)

    def of_chunk(chunk: tuple[tuple[Array, Array], Array, Array]) -> dict[str, Array]:
        (some_inputs, some_labels), real, index = chunk

        def logits_of(x: Array) -> Array:
            return apply(variables.parameters, x)

        found = attack_inputs(logits_of, some_inputs, some_labels, jax.random.fold_in(key, index), attack)
        clean = is_hit(logits_of(some_inputs), some_labels)
        robust = is_hit(logits_of(found.inputs), some_labels)
        values = {
            "clean_accuracy": clean,
            "accuracy": robust,
            "without_gradient": ~found.has_gradient,
            "not_finite": ~found.is_finite,
        }
        return {name: jnp.sum(value & real) for name, value in values.items()}

    sums = jax.lax.map(of_chunk, (chunks, is_real, jnp.arange(is_real.shape[0])))
    return {name: jnp.sum(value) / labels.shape[0] for name, value in sums.items()}


@evaluation(
    dependencies=["model:trained", "attack", "seed", "n_samples?=0"],
    table_name="attacked_accuracy",
)
def attacked_accuracy(
    model: dict[str, Any], attack: AttackOnInputs, seed: int = 0, n_samples: int = 0
) -> dict[str, float]:
    """Test accuracy on attacked inputs.

    Args:
        model: A trained grid point.
        attack: As ``pgd(0.3, n_steps=50, n_restarts=5)``; all of it is part of the result's key.
        seed: Seed of its random starts.
        n_samples: Test samples, taken at even distances; 0 for all.

    Returns:
        Fractions of the samples: ``accuracy``, on the attacked inputs; ``clean_accuracy``;
        ``without_gradient``, those for which every gradient of the attack was zero, which may only look
        robust; ``not_finite``, those with a loss that was not finite on the way.
    """
    ensure_trees(attack, "attack")
    numbers = jax.tree.map(jnp.float32, attack)
    measured = _attacked(*load_trained(model, n_samples=n_samples), jax.random.key(seed), numbers)
    return {name: float(value) for name, value in measured.items()}


def attack_sweep(
    grid: Sequence[dict[str, Any]], attacks: Mapping[str, AttackOnInputs], **how: Any
) -> list[dict[str, Any]]:
    """Attack trained points: a point for each, with ``attack_name``, ``attack`` and its ``attacked``.

    Args:
        grid: Trained grid points; ``n_samples`` of a point replaces all test samples.
        attacks: Attacks by name.
        how: Options of ``datajuicer.run``.
    """
    points = [
        {"n_samples": 0, **point, "attack_name": name, "attack": attack}
        for point in grid
        for name, attack in attacks.items()
    ]
    return dj.run(points, attacked_accuracy, store_key="attacked", **how)(
        "{*}", "{attack}", n_samples="{n_samples}"
    )
