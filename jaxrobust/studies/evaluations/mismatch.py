"""Accuracy of devices whose parameters deviate from those that were trained."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import datajuicer as dj
from jaxrobust.criteria import Score, is_hit
from jaxrobust.errors import InputError
from jaxrobust.measures.mismatch import Devices, perturbed_devices
from jaxrobust.perturbations.faults import Quantization
from jaxrobust.perturbations.mismatch import NOISE_MODES, BoxCorner, GaussianMismatch
from jaxrobust.perturbations.perturbation import Matching, Perturbation
from jaxrobust.perturbations.phase_change_memory import PUBLISHED_CLIP, TIMES, PhaseChangeMemory
from jaxrobust.registry import ensure_trees
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import (
    BATCH_SIZE,
    Trained,
    apply_of,
    load_trained,
    score_of,
    vmap_size,
)

# The published protocol: 100 devices a level (table 1).
MISMATCH_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
N_DRAWS = 100


@partial(jax.jit, static_argnames=("network", "n_draws", "draws_at_once", "score"))
def _devices(
    network,
    variables,
    inputs,
    labels,
    key: Array,
    perturbation: Perturbation,
    n_draws: int,
    draws_at_once: int,
    score: Score,
) -> Devices:
    return perturbed_devices(
        apply_of(network, variables),
        variables.parameters,
        inputs,
        labels,
        key,
        perturb=perturbation.perturb,
        n_draws=n_draws,
        draws_at_once=draws_at_once,
        batch_size=BATCH_SIZE,
        score=score,
    )


def accuracies_under(
    trained: Trained, perturbation: Perturbation, *, n_draws: int, seed: int, score: Score = is_hit
) -> list[float]:
    """Accuracy (a fraction), or score, of ``n_draws`` devices under any perturbation, in one program."""
    return _begin(trained, perturbation, n_draws, seed, score)()


def _begin(
    trained: Trained, perturbation: Perturbation, n_draws: int, seed: int, score: Score
) -> Callable[[], list[float]]:
    ensure_trees(perturbation, "perturbation")
    numbers = jax.tree.map(jnp.float32, perturbation)
    devices = _devices(*trained, jax.random.key(seed), numbers, n_draws, vmap_size(n_draws), score)

    def read() -> list[float]:
        failed = np.asarray(devices.unanswered) > 0
        if failed.any():
            warnings.warn(
                f"{int(failed.sum())} of {n_draws} devices give outputs that are not finite to up to "
                f"{float(devices.unanswered.max()):.0%} of the samples, which count as wrong.",
                stacklevel=3,
            )
        return devices.accuracies.tolist()

    return read


def _begin_mismatch(
    model: Mapping[str, Any], level: float, n_draws: int, seed: int, n_samples: int
) -> Callable[[], list[float]]:
    _check_size(level, "mismatch level")
    draws = 1 if level == 0 else n_draws
    trained = load_trained(model, n_samples=n_samples)
    return _begin(trained, GaussianMismatch(level), draws, seed, score_of(model))


@evaluation(
    dependencies=["model:trained", "level", "n_draws", "seed", "n_samples?=0"],
    table_name="mismatch_accuracy",
    begin=_begin_mismatch,
)
def mismatch_accuracy(
    model: dict[str, Any], level: float, n_draws: int = N_DRAWS, seed: int = 0, n_samples: int = 0
) -> list[float]:
    """Test accuracy of ``n_draws`` devices whose parameters deviate by ``level`` times their size.

    Args:
        model: A trained grid point.
        level: Relative standard deviation of the mismatch (zeta).
        n_draws: Number of devices; at level 0 all are the same, and one is computed.
        seed: Seed of the devices.
        n_samples: Test samples, taken at even distances; 0 for all.

    Returns:
        One accuracy a device, as a fraction.
    """
    return _begin_mismatch(model, level, n_draws, seed, n_samples)()


@evaluation(
    dependencies=["model:trained", "size", "n_draws", "seed", "n_samples?=0"],
    table_name="box_corner_accuracy",
)
def box_corner_accuracy(
    model: dict[str, Any], size: float, n_draws: int = 5, seed: int = 0, n_samples: int = 0
) -> list[float]:
    """Test accuracy at random corners of the box ``theta (1 +- size)``: how an attack without aim does.

    Args:
        model: A trained grid point.
        size: Half the width of the box, relative to each parameter.
        n_draws: Number of corners (the published system takes the mean of 5).
        seed: Seed of the corners.
        n_samples: Test samples, taken at even distances; 0 for all.
    """
    _check_size(size, "size of a box")
    return accuracies_under(
        load_trained(model, n_samples=n_samples),
        BoxCorner(size),
        n_draws=n_draws,
        seed=seed,
        score=score_of(model),
    )


@evaluation(
    dependencies=["model:trained", "perturbation", "n_draws", "seed", "n_samples?=0"],
    table_name="perturbed_accuracy",
)
def perturbed_accuracy(
    model: dict[str, Any],
    perturbation: Perturbation,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    n_samples: int = 0,
) -> list[float]:
    """Test accuracy of ``n_draws`` devices under any perturbation, which is part of the result's key.

    Args:
        model: A trained grid point.
        perturbation: Such as ``LogNormalMismatch(0.3)``, ``BitFlips(0.01, bits=4)`` or, for some tensors and
            one after the other, ``Chain((Matching(StuckAt(0.1), "w_rec"), GaussianMismatch(0.2)))``.
        n_draws: Number of devices.
        seed: Seed of the devices.
        n_samples: Test samples, taken at even distances; 0 for all.
    """
    return accuracies_under(
        load_trained(model, n_samples=n_samples),
        perturbation,
        n_draws=n_draws,
        seed=seed,
        score=score_of(model),
    )


@evaluation(
    dependencies=["model:trained", "bits", "n_samples?=0"],
    table_name="quantized_accuracy",
)
def quantized_accuracy(model: dict[str, Any], bits: int, n_samples: int = 0) -> float:
    """Test accuracy with every tensor rounded to ``bits`` bits between its smallest and largest value."""
    trained = load_trained(model, n_samples=n_samples)
    return accuracies_under(trained, Quantization(bits), n_draws=1, seed=0, score=score_of(model))[0]


@evaluation(
    dependencies=["model:trained", "time", "n_draws", "seed", "n_samples?=0", "clip?=0.0"],
    table_name="phase_change_accuracy",
)
def phase_change_accuracy(
    model: dict[str, Any],
    time: float,
    n_draws: int = 25,
    seed: int = 0,
    n_samples: int = 0,
    clip: float = 0.0,
) -> list[float]:
    """Test accuracy of ``n_draws`` chips of phase-change memory, ``time`` seconds after programming.

    Args:
        model: A trained grid point.
        time: Seconds, at least 25; ``phase_change_memory.TIMES`` are the published ones.
        n_draws: Number of chips.
        seed: Seed of the chips.
        n_samples: Test samples, taken at even distances; 0 for all.
        clip: Standard deviations of a tensor to which its weights are clipped before programming; 0 for none.
    """
    memory = PhaseChangeMemory(time, clip)
    return accuracies_under(
        load_trained(model, n_samples=n_samples), memory, n_draws=n_draws, seed=seed, score=score_of(model)
    )


def mismatch_sweep(
    grid: Sequence[dict[str, Any]], levels: Sequence[float] = MISMATCH_LEVELS, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points at several levels: a point each, with ``level`` and ``accuracies``.

    Args:
        grid: Trained grid points; ``n_draws`` and ``n_samples`` of a point replace the published 100 and all.
        levels: Mismatch levels.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split([_counted(point, N_DRAWS) for point in grid], "level", list(levels))
    return dj.run(points, mismatch_accuracy, store_key="accuracies", **how)(
        "{*}", "{level}", n_draws="{n_draws}", n_samples="{n_samples}"
    )


def corner_sweep(grid: Sequence[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """Evaluate trained points at random corners of boxes of their ``size``, under ``corners`` in each point.

    Args:
        grid: Trained grid points with ``size``; their ``n_samples`` replaces all test samples.
        how: Options of ``datajuicer.run``.
    """
    points = [{"n_samples": 0, **point} for point in grid]
    return dj.run(points, box_corner_accuracy, store_key="corners", **how)(
        "{*}", "{size}", n_samples="{n_samples}"
    )


def weight_noise_sweep(grid: Sequence[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """Evaluate trained points under noise on their weights, under ``accuracies`` in each point.

    The parameters that get noise are those that got it in training: ``noisy_forward_params``.

    Args:
        grid: Trained grid points with ``noise`` (eta) and ``noise_mode``, ``"ind"`` or ``"range"``;
            ``n_draws`` and ``n_samples`` of a point replace the published 25 and all.
        how: Options of ``datajuicer.run``.
    """
    points = [
        {
            **_counted(point, 25),
            "perturbation": Matching(
                NOISE_MODES[point["noise_mode"]](point["noise"]), point["noisy_forward_params"]
            ),
        }
        for point in grid
    ]
    return dj.run(points, perturbed_accuracy, store_key="accuracies", **how)(
        "{*}", "{perturbation}", n_draws="{n_draws}", n_samples="{n_samples}"
    )


def phase_change_sweep(
    grid: Sequence[dict[str, Any]], times: Sequence[float] = TIMES, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points in phase-change memory: a point for each ``time``, with ``accuracies``.

    Weights are clipped to the standard deviations of the published simulator before they are programmed.

    Args:
        grid: Trained grid points; ``n_draws`` and ``n_samples`` of a point replace the published 25 and all.
        times: Seconds after programming.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split([_counted(point, 25) for point in grid], "time", list(times))
    return dj.run(points, phase_change_accuracy, store_key="accuracies", **how)(
        "{*}", "{time}", n_draws="{n_draws}", n_samples="{n_samples}", clip=PUBLISHED_CLIP
    )


def _counted(point: dict[str, Any], n_draws: int) -> dict[str, Any]:
    return {"n_draws": n_draws, "n_samples": 0, **point}


def _check_size(value: float, what: str) -> None:
    if not 0 <= value < float("inf"):
        raise InputError(f"A {what} must be a finite number of at least 0, not {value!r}.")
