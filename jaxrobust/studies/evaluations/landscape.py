"""The loss around trained parameters, along random and along adversarial directions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

import datajuicer as dj
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.measures.full_set import cross_entropy
from jaxrobust.measures.landscape import adversarial_landscapes, mean_slope, random_landscapes
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, apply_of, load_trained


@partial(jax.jit, static_argnames=("network", "n_repeats"))
def _random(network, variables, inputs, labels, key: Array, alphas: Array, std: Array, n_repeats: int):
    loss = cross_entropy(apply_of(network, variables), inputs, labels, batch_size=BATCH_SIZE)
    curves = random_landscapes(loss, variables.parameters, key, alphas, std=std, n_repeats=n_repeats)
    return curves, mean_slope(curves, alphas)


@partial(jax.jit, static_argnames=("network", "n_repeats"))
def _adversarial(
    network,
    variables,
    inputs,
    labels,
    key: Array,
    alphas: Array,
    attack: ParameterAttack,
    scale: Array,
    n_repeats: int,
):
    loss = cross_entropy(apply_of(network, variables), inputs, labels, batch_size=BATCH_SIZE)
    curves = adversarial_landscapes(
        loss, variables.parameters, key, alphas, attack, scale=scale, n_repeats=n_repeats
    )
    return curves, mean_slope(curves, alphas)


@evaluation(
    dependencies=["model:trained", "std", "reach", "n_points", "n_repeats", "part", "seed", "n_samples?=0"],
    table_name="random_landscape",
)
def random_landscape(
    model: dict[str, Any],
    std: float = 0.2,
    reach: float = 2.0,
    n_points: int = 50,
    n_repeats: int = 5,
    part: str = "test",
    seed: int = 0,
    n_samples: int = 0,
) -> dict[str, Any]:
    """Cross-entropy along random directions ``alpha |theta| std N(0, 1)``, alpha from -reach to reach.

    Args:
        model: A trained grid point.
        std: Length of the directions relative to each parameter.
        reach: Largest alpha.
        n_points: Points of a line.
        n_repeats: Directions.
        part: Which data: ``"test"``, ``"validation"`` or ``"train"``.
        seed: Seed of the directions.
        n_samples: Samples, taken at even distances; 0 for all.

    Returns:
        ``alphas``, ``losses`` (a list a direction) and ``slope`` of their smoothed mean.
    """
    alphas = jnp.linspace(-reach, reach, n_points)
    losses, slope = _random(
        *load_trained(model, part, n_samples), jax.random.key(seed), alphas, jnp.float32(std), n_repeats
    )
    return {"alphas": alphas.tolist(), "losses": losses.tolist(), "slope": float(slope)}


@evaluation(
    dependencies=[
        "model:trained",
        "size",
        "n_steps",
        "scale",
        "reach",
        "n_points",
        "n_repeats",
        "seed",
        "n_samples?=0",
    ],
    table_name="adversarial_landscape",
)
def adversarial_landscape(
    model: dict[str, Any],
    size: float = 0.1,
    n_steps: int = 10,
    scale: float = 0.2,
    reach: float = 2.0,
    n_points: int = 50,
    n_repeats: int = 1,
    seed: int = 0,
    n_samples: int = 0,
) -> dict[str, Any]:
    """Cross-entropy along ``alpha scale (theta* - theta)``, where theta* is what an attack on it finds.

    Args:
        model: A trained grid point.
        size: Size of the attack relative to each parameter.
        n_steps: Its steps.
        scale: Length of the direction relative to the attack's.
        reach: Largest alpha.
        n_points: Points of a line.
        n_repeats: Attacks, each from a random start of its own.
        seed: Seed of the starts.
        n_samples: Test samples, taken at even distances; 0 for all.

    Returns:
        ``alphas``, ``losses`` (a list an attack) and ``slope`` of their smoothed mean.
    """
    alphas = jnp.linspace(-reach, reach, n_points)
    attack = jax.tree.map(jnp.float32, ParameterAttack(relative_size=size, n_steps=n_steps))
    losses, slope = _adversarial(
        *load_trained(model, n_samples=n_samples),
        jax.random.key(seed),
        alphas,
        attack,
        jnp.float32(scale),
        n_repeats,
    )
    return {"alphas": alphas.tolist(), "losses": losses.tolist(), "slope": float(slope)}


def random_landscape_sweep(
    grid: Sequence[dict[str, Any]], parts: Sequence[str] = ("test",), **how: Any
) -> list[dict[str, Any]]:
    """Landscapes of trained points along random directions: a ``landscape`` for each ``part``.

    Args:
        grid: Trained grid points; ``n_samples`` of a point replaces all samples.
        parts: Which data.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split([{"n_samples": 0, **point} for point in grid], "part", list(parts))
    return dj.run(points, random_landscape, store_key="landscape", **how)(
        "{*}", part="{part}", n_samples="{n_samples}"
    )


def adversarial_landscape_sweep(grid: Sequence[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """Landscapes of trained points along adversarial directions, under ``landscape`` in each point.

    Args:
        grid: Trained grid points; ``n_samples`` of a point replaces all samples.
        how: Options of ``datajuicer.run``.
    """
    points = [{"n_samples": 0, **point} for point in grid]
    return dj.run(points, adversarial_landscape, store_key="landscape", **how)("{*}", n_samples="{n_samples}")
