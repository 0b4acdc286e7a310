"""Lipschitz networks on imperfect hardware: mismatch of, and attacks on, the numbers that a chip stores.

A chip stores kernels, not what they are made of: they are computed once (baked), and then perturbed. Networks
of the first study store their parameters as they are.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import datajuicer as dj
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.networks.conv_stack import StridedCNN
from jaxrobust.networks.network import Variables
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.mismatch import accuracies_under
from jaxrobust.studies.evaluations.trained import Trained, load_trained, vmap_size
from jaxrobust.studies.evaluations.worst_case import attacked_test_set
from jaxrobust.studies.lipschitz.protocols import digits_comparison
from jaxrobust.studies.lipschitz.robustness import lipschitz_robustness
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.methods import ForwardNoise, Method, ParameterAttackTraining, Standard
from jaxrobust.training.schedule import Phases

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.5)
SIZES = (0.0, 0.01, 0.03, 0.1, 0.2)
LIPSCHITZ = ("BCOP", "RKO")
_ATTACK = ParameterAttack(relative_size=0.1, n_steps=10)
METHODS: dict[str, Method] = {
    "Standard": Standard(),
    "Forward noise": ForwardNoise(0.3),
    "Beta": ParameterAttackTraining(Standard(), beta=0.25, attack=_ATTACK),
    "Forward noise + beta": ParameterAttackTraining(ForwardNoise(0.3), beta=0.1, attack=_ATTACK),
}


def load_stored(model: dict[str, Any], n_samples: int = 0) -> Trained:
    """Load a trained point with its kernels computed, as a chip stores them."""
    network, variables, inputs, labels = load_trained(model, n_samples=n_samples)
    baked = jax.jit(network.bake)(variables.parameters, variables.statistics)
    return Trained(network, Variables(baked, variables.statistics), inputs, labels)


@evaluation(
    dependencies=["model:trained", "level", "n_draws", "n_samples", "seed"], table_name="stored_mismatch"
)
def stored_mismatch(
    model: dict[str, Any], level: float, n_draws: int = 20, n_samples: int = 0, seed: int = 0
) -> list[float]:
    """Test accuracy of ``n_draws`` devices whose stored numbers deviate by ``level`` times their size.

    Args:
        model: A trained grid point.
        level: Relative standard deviation of the mismatch (zeta).
        n_draws: Devices.
        n_samples: Test samples, taken at even distances; 0 for all.
        seed: Of the devices.
    """
    if not level >= 0:
        raise InputError(f"A mismatch level is a number of at least 0, not {level!r}.")
    return accuracies_under(
        load_stored(model, n_samples), GaussianMismatch(level), n_draws=n_draws, seed=seed
    )


@evaluation(
    dependencies=["model:trained", "size", "n_steps", "n_samples", "seed"], table_name="stored_worst_case"
)
def stored_worst_case(
    model: dict[str, Any], size: float, n_steps: int = 10, n_samples: int = 0, seed: int = 0
) -> float:
    """Test accuracy under the worst stored numbers that an attack finds within ``size`` times their own.

    Args:
        model: A trained grid point.
        size: Half the width of the box, relative to every number.
        n_steps: Steps of the attack, which has the gradient of all samples.
        n_samples: Test samples, taken at even distances; 0 for all.
        seed: Of the start.
    """
    if not size >= 0:
        raise InputError(f"The size of an attack is a number of at least 0, not {size!r}.")
    attack = ParameterAttack(relative_size=size, n_steps=n_steps)
    numbers = jax.tree.map(jnp.float32, attack)
    stored = load_stored(model, n_samples)
    accuracies, _, _ = attacked_test_set(*stored, jax.random.key(seed), numbers, "madry", 1, vmap_size(1))
    return float(jnp.min(accuracies))


def stored_grid(n_epochs: int = 40, seeds: Sequence[int] = (0,)) -> list[dict[str, Any]]:
    """Lipschitz networks on the digits, those of ``lipschitz_digits``, and a plain network by four methods.

    Args:
        n_epochs: Of every training.
        seeds: Of every training.
    """
    certified = digits_comparison(LIPSCHITZ, seeds, n_epochs)
    points = [{**point, "line": f"{point['parameterization']} (Lipschitz)"} for point in certified]
    plain = StridedCNN((16, 32), (2, 2), pool=1)
    schedule = Phases((n_epochs / 2, n_epochs / 2), (1e-3, 1e-4))
    for name, method in METHODS.items():
        point = training_point(
            plain, "digits", method=method, schedule=schedule, batch_size=100, eval_step_interval=n_epochs
        )
        points += dj.split([{**point, "line": name}], "seed", list(seeds))
    return points


def evaluate_stored(
    grid: Sequence[dict[str, Any]], *, n_draws: int = 20, n_samples: int = 0, **how: Any
) -> list[dict[str, Any]]:
    """Add ``mismatched`` by level, ``attacked`` by size, and ``certified`` by level where there is a radius.

    Args:
        grid: Trained points of ``stored_grid``.
        n_draws: Devices per level.
        n_samples: Test samples; 0 for all.
        how: Options of ``datajuicer.run``.
    """
    points = [{**p, "mismatched": {}, "attacked": {}, "certified": {}} for p in grid]
    for level in LEVELS:
        counts = {"n_draws": n_draws if level else 1, "n_samples": n_samples}
        points = _with(points, stored_mismatch, "mismatched", level, ("{*}", level), counts, how)
    for size in SIZES:
        points = _with(
            points, stored_worst_case, "attacked", size, ("{*}", size), {"n_samples": n_samples}, how
        )
    certified = [point for point in points if "radius" in point]
    others = [point for point in points if "radius" not in point]
    for level in LEVELS:
        arguments, counts = ("{*}", "{radius}", 10), {"n_samples": n_samples, "mismatch": level}
        certified = _with(certified, lipschitz_robustness, "certified", level, arguments, counts, how)
    return [*certified, *others]


def _with(
    points: list[dict[str, Any]],
    function: Any,
    name: str,
    x: float,
    arguments: tuple[Any, ...],
    counts: dict[str, Any],
    how: dict[str, Any],
) -> list[dict[str, Any]]:
    """Evaluate every point, and put the result beside those of other levels."""
    done = dj.run(points, function, store_key="found", **how)(*arguments, **counts)
    return [{**point, name: {**point[name], x: point["found"]}} for point in done]
