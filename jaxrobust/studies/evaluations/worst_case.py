"""Accuracy under the worst parameters that an attack finds inside a box around the trained ones."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import datajuicer as dj
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.criteria import CrossEntropy, check_classification
from jaxrobust.measures.attack_suite import LOSSES, SuiteResult, standard_worst_case
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, apply_of, load_trained, vmap_size
from jaxrobust.trees import check_range

# The published protocol (figure 3).
ATTACK_SIZES = (0.0, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
# What the suite standard is run at: it costs six times as much.
STANDARD_SIZES = (0.05, 0.1, 0.2)


@partial(jax.jit, static_argnames=("network", "loss", "n_restarts", "at_once"))
def attacked_test_set(
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
    """Accuracies, losses and whether there was a gradient, per restart; one program for all sizes."""
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
    return found.accuracies, found.losses, found.has_gradient


def _begin(
    model: Mapping[str, Any],
    size: float,
    n_steps: int,
    loss: str,
    n_restarts: int,
    seed: int,
    n_samples: int,
    absolute_size: float,
) -> Callable[[], dict[str, Any]]:
    attack = ParameterAttack(relative_size=size, absolute_size=absolute_size, n_steps=n_steps)
    accuracies, losses, has_gradient = attacked_test_set(
        *load_trained(model, n_samples=n_samples),
        jax.random.key(seed),
        jax.tree.map(jnp.float32, attack),
        loss,
        n_restarts,
        vmap_size(n_restarts),
    )

    def read() -> dict[str, Any]:
        _warn_without_gradient(has_gradient, size + absolute_size)
        found = np.asarray(accuracies)
        return {"accuracy": float(found.min()), "accuracies": found.tolist(), "losses": losses.tolist()}

    return read


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
    begin=_begin,
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
    return _begin(model, size, n_steps, loss, n_restarts, seed, n_samples, absolute_size)()


def _warn_without_gradient(has_gradient: Array, size: float) -> None:
    flags = np.asarray(has_gradient)
    if size > 0 and not flags.all():
        warnings.warn(
            f"{int(np.sum(~flags))} of {flags.size} attacks met no gradient other than 0: they have not "
            "searched, and the network may only look robust.",
            stacklevel=3,
        )


@partial(jax.jit, static_argnames="network")
def _standard(network, variables, inputs, labels, key: Array, size: Array) -> SuiteResult:
    found = standard_worst_case(
        apply_of(network, variables),
        variables.parameters,
        inputs,
        labels,
        key,
        size=size,
        batch_size=BATCH_SIZE,
    )
    return found._replace(parameters=None)


@evaluation(
    dependencies=["model:trained", "size", "seed", "n_samples?=0"],
    table_name="standard_worst_case",
)
def standard_worst_case_accuracy(
    model: dict[str, Any], size: float, seed: int = 0, n_samples: int = 0
) -> dict[str, Any]:
    """Test accuracy under the suite ``standard``: the lowest that any of its attacks and corners finds.

    Args:
        model: A trained grid point, of a criterion for classes.
        size: Half the width of the box relative to each parameter.
        seed: Seed of starts and corners.
        n_samples: Test samples, taken at even distances; 0 for all.

    Returns:
        ``accuracy``; ``nominal`` accuracy; ``attacks``, for each loss the lowest of each start; ``corners``;
        and ``has_gradient`` of each attack.
    """
    check_range(size, "size of a box")
    check_classification(model.get("criterion", CrossEntropy()), "A worst case of the suite standard")
    trained = load_trained(model, n_samples=n_samples)
    found = _standard(*trained, jax.random.key(seed), jnp.float32(size))
    _warn_without_gradient(found.has_gradient, size)
    return {
        "accuracy": float(found.accuracy),
        "nominal": float(found.nominal),
        "attacks": dict(zip(LOSSES, found.attacks.tolist(), strict=True)),
        "corners": found.corners.tolist(),
        "has_gradient": dict(zip(LOSSES, found.has_gradient.tolist(), strict=True)),
    }


def standard_sweep(
    grid: Sequence[dict[str, Any]], sizes: Sequence[float] = STANDARD_SIZES, **how: Any
) -> list[dict[str, Any]]:
    """Attack trained points with the suite ``standard``: a point for each ``size``, with its ``suite``.

    Args:
        grid: Trained grid points; ``n_samples`` of a point replaces all test samples.
        sizes: Half the widths of the boxes, relative to each parameter.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split([{"n_samples": 0, **point} for point in grid], "size", list(sizes))
    return with_suite(points, **how)


def with_suite(points: Sequence[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """Attack trained points, each at its ``size``, with the suite ``standard``: a ``suite`` each."""
    return dj.run(points, standard_worst_case_accuracy, store_key="suite", **how)(
        "{*}", "{size}", n_samples="{n_samples}"
    )


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
