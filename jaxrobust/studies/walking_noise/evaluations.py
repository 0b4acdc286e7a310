"""Evaluations of trained points under noise on their activations; each is stored under its own key."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import datajuicer as dj
from jaxrobust.criteria import is_hit
from jaxrobust.measures.walking_profile import BATCH, noise_accuracies
from jaxrobust.networks.taps import EVERY, Taps
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.walking_noise.sweeps import NoiseSweep, Sweep

# An activation counts as zero below this part of the 95th percentile of its position.
NEAR_ZERO = 0.01


@evaluation(["model:trained", "sweep", "n_draws", "seed", "n_samples?=0"], table_name="noise_sweep")
def noise_sweep(
    model: dict[str, Any], sweep: Sweep, n_draws: int = 3, seed: int = 0, n_samples: int = 0
) -> list[list[float]]:
    """Test accuracy under every placement of a sweep, all levels with the same draws of noise.

    Args:
        model: A trained grid point.
        sweep: Where, how much, and how often executed.
        n_draws: Draws of the noise.
        seed: Seed of the draws.
        n_samples: Test samples, taken at even distances; 0 for all.

    Returns:
        Accuracies, fractions, one row per draw and one column per placement.
    """
    trained = load_trained(model, n_samples=n_samples)
    key = jax.random.key(seed)
    found = noise_accuracies(*trained, key, sweep.placements(), n_draws=n_draws, batch_size=BATCH)
    return [[round(float(value), 6) for value in row] for row in np.asarray(found)]


@evaluation(["model:trained", "sweep", "seed", "n_samples?=0"], table_name="activation_statistics")
def activation_statistics(
    model: dict[str, Any], sweep: NoiseSweep | None = None, seed: int = 0, n_samples: int = 1000
) -> dict[str, Any]:
    """Weights and activations of a trained point: how large, and how many are nearly zero.

    Args:
        model: A trained grid point.
        sweep: Noise under which the activations are taken, its first placement; None for none.
        seed: Seed of the noise.
        n_samples: Test samples.

    Returns:
        ``weights``: mean absolute value of every weight matrix or kernel by its path; ``near_zero``: by
        position, the fraction of activations below 1 % of the 95th percentile of their absolute values, which
        rises as a network binarizes itself; ``accuracy`` of these samples.
    """
    network, variables, inputs, labels = load_trained(model, n_samples=n_samples)
    perturb = sweep.placements()[0] if sweep else {}
    outputs = network.forward(
        *variables, inputs, key=jax.random.key(seed), tap=Taps(record=(EVERY,), perturb=perturb)
    )
    weights = {
        "/".join(str(getattr(entry, "key", entry)) for entry in path): float(jnp.mean(jnp.abs(leaf)))
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables.parameters)
        if leaf.ndim > 1
    }

    def near_zero(x: np.ndarray) -> float:
        size = np.abs(np.asarray(x, np.float64))
        return float(np.mean(size < NEAR_ZERO * np.percentile(size, 95)))

    return {
        "weights": weights,
        "near_zero": {name: near_zero(np.asarray(x)) for name, x in outputs.activations.items()},
        "accuracy": float(jnp.mean(is_hit(outputs.logits, labels))),
    }


def with_sweeps(
    grid: Sequence[Mapping[str, Any]], sweeps: Mapping[str, Sweep], *, n_samples: int = 0, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points under named sweeps: a point each, with ``sweep_name`` and ``accuracies``.

    Args:
        grid: Trained grid points.
        sweeps: Sweeps by name.
        n_samples: Test samples, taken at even distances; 0 for all.
        how: Options of ``datajuicer.run``; ``n_draws`` of a point replaces 3.
    """
    points = [
        {"n_draws": 3, **point, "sweep_name": name, "sweep": sweep, "n_swept_samples": n_samples}
        for point in grid
        for name, sweep in sweeps.items()
    ]
    evaluate = dj.run(points, noise_sweep, store_key="accuracies", **how)
    return evaluate("{*}", "{sweep}", n_draws="{n_draws}", n_samples="{n_swept_samples}")
