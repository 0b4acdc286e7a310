"""What donors and stitches are measured by: accuracy on clean and attacked inputs, and similarity."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

import datajuicer as dj
from jaxrobust.attacks.input_attack import InputAttack, attack_inputs
from jaxrobust.criteria import is_hit
from jaxrobust.measures.agreement import agreement, cross_entropy_to, hit_overlap
from jaxrobust.measures.cka import debiased_cka, linear_cka
from jaxrobust.networks.network import Network, Variables
from jaxrobust.networks.taps import Taps
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.stitching.layers import kernel_of
from jaxrobust.stitching.matching import squared_distance
from jaxrobust.stitching.rank import blockwise_largest, truncated
from jaxrobust.studies.evaluations.evaluation import in_full_precision
from jaxrobust.studies.evaluations.mismatch import accuracies_under
from jaxrobust.studies.evaluations.trained import Trained, load_trained
from jaxrobust.studies.sources import reader_of
from jaxrobust.studies.stitching.points import CODE_WITHIN, load_stitched, stitched_of

BATCH = 250
# Samples of the CKA, whose debiased form needs a matrix of samples by samples.
N_CKA = 1000


def load_any(point: Mapping[str, Any], n_samples: int = 0) -> Trained:
    """Load a finished donor or stitch with its test data."""
    return (
        load_stitched(point, n_samples=n_samples)
        if "cut" in point
        else load_trained(point, "test", n_samples)
    )


def _code_of(function: Any, /, model: Mapping[str, Any], **arguments: Any) -> tuple[Any, ...]:
    settings = [v for v in arguments.values() if not isinstance(v, int | float | str)]
    networks = [model.get("network"), model.get("layer")]
    networks += [model[name].get("network") for name in ("front", "end") if name in model]
    return (function, *networks, *reader_of(model), *settings)


def _evaluation(dependencies: list[str], table_name: str) -> Any:
    def mark(function: Any) -> dj.Cachable:
        return dj.cachable(
            dependencies, table_name=table_name, code_of=partial(_code_of, function), code_within=CODE_WITHIN
        )(in_full_precision(function))

    return mark


@_evaluation(["model:trained", "attacks", "n_samples", "seed"], "attacked_accuracy")
def attacked_accuracy(
    model: dict[str, Any], attacks: tuple[InputAttack, ...], n_samples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Test accuracy of a donor or a stitch on clean inputs, under each attack, and under all of them.

    Args:
        model: A finished point.
        attacks: White-box attacks; a sample survives ``"all"`` if it is right after every one.
        n_samples: Test samples, taken at even distances; 0 for all.
        seed: Of random starts.

    Returns:
        ``clean``, ``all``, ``each`` (one accuracy per attack), ``no_gradient`` (the share of samples for
        which an attack never saw a gradient: they only look robust) and ``n``.
    """
    return _accuracies(load_any(model, n_samples), attacks, seed)


@_evaluation(["model:trained", "dataset", "attacks", "n_samples", "seed"], "other_task_accuracy")
def other_task_accuracy(
    model: dict[str, Any],
    dataset: str,
    attacks: tuple[InputAttack, ...],
    n_samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """What ``attacked_accuracy`` measures, of a stitch on another data set than its own.

    Args:
        model: A finished stitch.
        dataset: Name of the data set, with samples of the same shape.
        attacks: As of ``attacked_accuracy``.
        n_samples: Test samples, taken at even distances; 0 for all.
        seed: Of random starts.
    """
    return _accuracies(load_stitched(model, n_samples=n_samples, dataset=dataset), attacks, seed)


@_evaluation(["model:trained", "n_samples"], "stitch_similarity")
def stitch_similarity(model: dict[str, Any], n_samples: int = 2000) -> dict[str, Any]:
    """How alike a stitch and its donors are, on test data.

    Returns:
        ``agreement`` with the end and the front, ``relative_accuracy`` (stitch over end), ``cross_entropy``
        to the end in nats, ``hits`` (stitch and end: both, first, second, neither), ``cka`` and
        ``debiased_cka`` of what the end gets and its own activations, and ``distance``, their mean squared
        difference.
    """
    network = stitched_of(model)
    _, variables, inputs, labels = load_stitched(model, n_samples=n_samples)
    parts = {
        name: Variables(variables.parameters[name], variables.statistics[name]) for name in ("front", "end")
    }
    logits = _logits(network, variables, inputs)
    front, end = (_logits(getattr(network, name), parts[name], inputs) for name in ("front", "end"))
    few = inputs[:N_CKA]
    given = _at(network, "stitch", variables, few).reshape(len(few), -1)
    own = _at(network.end, network.cut.end, parts["end"], few).reshape(len(few), -1)
    accuracies = [float(is_hit(each, labels).mean()) for each in (logits, end)]
    return {
        "agreement": {"front": float(agreement(logits, front)), "end": float(agreement(logits, end))},
        "relative_accuracy": accuracies[0] / max(accuracies[1], 1e-9),
        "cross_entropy": float(cross_entropy_to(logits, end)),
        "hits": [int(count) for count in hit_overlap(logits, end, labels)],
        "cka": float(linear_cka(given, own)),
        "debiased_cka": float(debiased_cka(given, own)),
        "distance": squared_distance(network, variables, inputs, batch_size=BATCH),
    }


@_evaluation(["model:trained", "largest"], "stitch_kernel")
def stitch_kernel(model: dict[str, Any], largest: int = 64) -> dict[str, Any]:
    """The matrix of a stitch, to be looked at.

    Args:
        model: A finished stitch.
        largest: Most rows and columns; larger matrices are divided into blocks, of each of which the entry of
            largest magnitude is kept.

    Returns:
        ``entries`` (front by end), ``shape`` of the whole matrix, ``largest``, and ``singular_values`` from
        large to small.
    """
    kernel = np.asarray(
        kernel_of(load_stitched(model, n_samples=1).variables.parameters["stitch"]), np.float64
    )
    return {
        "entries": blockwise_largest(kernel, largest).astype(np.float32).tolist(),
        "shape": list(kernel.shape),
        "largest": largest,
        "singular_values": np.linalg.svd(kernel, compute_uv=False).tolist(),
    }


@_evaluation(["model:trained", "attack", "n_samples", "seed"], "transfer_accuracy")
def transfer_accuracy(
    model: dict[str, Any], attack: InputAttack, n_samples: int = 1000, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Accuracy of front, end and stitch on the attacked inputs of each of them: ``result[source][target]``.

    On the diagonal this is the accuracy under the white-box attack.
    """
    network, variables, inputs, labels = load_stitched(model, n_samples=n_samples)
    nets = {"stitch": (network, variables)} | {
        name: (getattr(network, name), Variables(variables.parameters[name], variables.statistics[name]))
        for name in ("front", "end")
    }
    table: dict[str, dict[str, float]] = {}
    for source in nets:
        trained = Trained(*nets[source], inputs, labels)
        attacked = _attacked_inputs(trained, attack, jax.random.key(seed))
        table[source] = {target: float(_right(*nets[target], attacked, labels).mean()) for target in nets}
    return table


@_evaluation(["model:trained", "ranks", "attacks", "n_samples", "seed"], "low_rank_accuracy")
def low_rank_accuracy(
    model: dict[str, Any],
    ranks: tuple[int, ...],
    attacks: tuple[InputAttack, ...] = (),
    n_samples: int = 1000,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Clean and robust accuracy of a stitch truncated to each rank; the stored stitch stays as it is."""
    network, variables, inputs, labels = load_stitched(model, n_samples=n_samples)
    rows = []
    for rank in ranks:
        stitch = truncated(variables.parameters["stitch"], rank)
        cut = Variables({**variables.parameters, "stitch": stitch}, variables.statistics)
        trained = Trained(network, cut, inputs, labels)
        right = _right(network, cut, inputs, labels)
        robust = right.copy()
        for index, attack in enumerate(attacks):
            robust &= ~_attacked(trained, attack, jax.random.fold_in(jax.random.key(seed), index))[0]
        rows.append({"rank": rank, "clean": float(right.mean()), "robust": float(robust.mean())})
    return rows


@_evaluation(["model:trained", "perturbation", "n_draws", "n_samples", "seed"], "stitch_mismatch")
def stitch_mismatch(
    model: dict[str, Any],
    perturbation: Perturbation,
    n_draws: int = 10,
    n_samples: int = 1000,
    seed: int = 0,
) -> list[float]:
    """Accuracies of ``n_draws`` devices whose parameters, donors' and stitch's, are perturbed."""
    return accuracies_under(load_any(model, n_samples), perturbation, n_draws=n_draws, seed=seed)


def _accuracies(trained: Trained, attacks: tuple[InputAttack, ...], seed: int) -> dict[str, Any]:
    right = _right(trained.network, trained.variables, trained.inputs, trained.labels)
    survived, blind, each = right.copy(), np.zeros(len(right), bool), []
    for index, attack in enumerate(attacks):
        fooled, no_gradient = _attacked(trained, attack, jax.random.fold_in(jax.random.key(seed), index))
        each.append(float((right & ~fooled).mean()))
        survived &= ~fooled
        blind |= no_gradient
    return {
        "clean": float(right.mean()),
        "all": float(survived.mean()),
        "each": each,
        "no_gradient": float(blind.mean()),
        "n": len(right),
    }


def _right(network: Network, variables: Variables, inputs: Array, labels: Array) -> Bool[np.ndarray, " n"]:
    return np.asarray(is_hit(_logits(network, variables, inputs), labels))


def _logits(network: Network, variables: Variables, inputs: Array) -> Float[Array, "samples classes"]:
    return jnp.concatenate([_forward(network, variables, batch) for batch in _batches(inputs)])


def _at(network: Network, position: str, variables: Variables, inputs: Array) -> Array:
    return jnp.concatenate([_record(network, position, variables, batch) for batch in _batches(inputs)])


def _attacked(
    trained: Trained, attack: InputAttack, key: Array
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    found = [
        _attack(trained.network, trained.variables, *batch, jax.random.fold_in(key, index), attack)
        for index, batch in enumerate(_pairs(trained))
    ]
    fooled, has_gradient = (np.concatenate([np.asarray(part[at]) for part in found]) for at in (0, 1))
    return fooled, ~has_gradient


def _attacked_inputs(trained: Trained, attack: InputAttack, key: Array) -> Array:
    found = [
        _attack(trained.network, trained.variables, *batch, jax.random.fold_in(key, index), attack)[2]
        for index, batch in enumerate(_pairs(trained))
    ]
    return jnp.concatenate(found)


def _batches(inputs: Array) -> list[Array]:
    return [inputs[first : first + BATCH] for first in range(0, len(inputs), BATCH)]


def _pairs(trained: Trained) -> zip:
    return zip(_batches(trained.inputs), _batches(trained.labels), strict=True)


@partial(jax.jit, static_argnames="network")
def _forward(network: Network, variables: Variables, inputs: Array) -> Array:
    return network.forward(*variables, inputs).logits


@partial(jax.jit, static_argnames=("network", "position"))
def _record(network: Network, position: str, variables: Variables, inputs: Array) -> Array:
    return network.forward(*variables, inputs, tap=Taps(record=(position,))).activations[position]


@partial(jax.jit, static_argnames="network")
def _attack(
    network: Network, variables: Variables, inputs: Array, labels: Array, key: Array, attack: InputAttack
) -> tuple[Array, Array, Array]:
    found = attack_inputs(lambda x: network.forward(*variables, x).logits, inputs, labels, key, attack)
    return found.fooled, found.has_gradient, found.inputs
