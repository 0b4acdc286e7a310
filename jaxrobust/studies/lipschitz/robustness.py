"""What a Lipschitz network certifies, and what attacks find."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import datajuicer as dj
from jaxrobust.attacks.input_attack import InputAttack, attack_inputs, fgsm, pgd
from jaxrobust.attacks.square import SquareAttack, attack_by_squares
from jaxrobust.certificates.lipschitz import (
    certified_accuracy,
    certify,
    check_pixels,
    check_unbroken,
    layer_constants,
)
from jaxrobust.criteria import is_answer
from jaxrobust.errors import InputError
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, load_trained

# Points of the certified curve, in units of the radius at which the network is compared.
CURVE = tuple(np.round(np.linspace(0, 2, 21), 3).tolist())


@partial(jax.jit, static_argnames="network")
def _logits(network: LinenNetwork, baked: Any, statistics: Any, inputs: Array) -> Array:
    chunks, _ = in_chunks(inputs, BATCH_SIZE)
    logits = jax.lax.map(lambda x: network.forward(baked, statistics, x).logits, chunks)
    return logits.reshape(-1, logits.shape[-1])[: len(inputs)]


@partial(jax.jit, static_argnames="network")
def _attacked(
    network: LinenNetwork,
    baked: Any,
    statistics: Any,
    inputs: Array,
    labels: Array,
    key: Array,
    attack: InputAttack | SquareAttack,
) -> tuple[Array, Array]:
    chunks, _ = in_chunks((inputs, labels), BATCH_SIZE)
    run = attack_by_squares if isinstance(attack, SquareAttack) else attack_inputs

    def one(chunk: tuple[Array, Array]) -> tuple[Array, Array]:
        found = run(lambda x: network.forward(baked, statistics, x).logits, *chunk, key, attack)  # pyright: ignore
        return found.inputs, found.fooled

    points, fooled = jax.lax.map(one, chunks)
    n = len(inputs)
    return points.reshape(-1, *inputs.shape[1:])[:n], fooled.reshape(-1)[:n]


@evaluation(
    dependencies=[
        "model:trained",
        "radius",
        "n_steps",
        "n_queries",
        "seed",
        "n_samples?=0",
        "n_attacked?=0",
        "mismatch?=0.0",
    ],
    table_name="lipschitz_robustness",
)
def lipschitz_robustness(
    model: dict[str, Any],
    radius: float,
    n_steps: int = 200,
    n_queries: int = 0,
    seed: int = 0,
    n_samples: int = 0,
    n_attacked: int = 0,
    mismatch: float = 0.0,
) -> dict[str, Any]:
    """Certify the test samples and attack them at a radius; no certified answer may break.

    Kernels are computed once. With mismatch, each deviates by a relative normal error as on an analog chip,
    and the constant is that of the deviating kernels.

    Args:
        model: A trained grid point of a ``LipschitzNetwork``.
        radius: L2 radius, in units of pixels in [0, 1].
        n_steps: Steps of PGD with the margin loss, of length ``2.5 radius / n_steps``, from a random start
            inside the ball; FGSM takes one.
        n_queries: Queries of the Square attack; 0 for none.
        seed: Seed of attacks and mismatch.
        n_samples: Test samples, at even distances; 0 for all.
        n_attacked: How many of these are attacked, at even distances; 0 for all.
        mismatch: Relative standard deviation of the kernels and biases.

    Returns:
        ``clean``, ``certified``, ``certified_by_last_layer``, ``pgd``, ``fgsm`` and ``square`` (None
        without), accuracies as fractions; ``certified_of_attacked`` on the attacked samples; ``constant`` and
        ``constants`` by layer; ``curve``, the certified accuracy at ``CURVE`` times the radius;
        ``mean_radius``.

    Raises:
        CertificateBroken: An attack broke a certified answer.
        InputError: Inputs outside [0, 1], or a network that cannot be certified.
    """
    if not radius > 0:
        raise InputError(f"A radius is a positive number of pixels, not {radius!r}.")
    network, variables, inputs, labels = load_trained(model, n_samples=n_samples)
    check_pixels(np.asarray(inputs))
    if not isinstance(network, LinenNetwork):
        raise InputError(
            f"Certificates need a chain of layers in a LinenNetwork, not {type(network).__name__}."
        )
    statistics = variables.statistics
    baked = jax.jit(network.bake)(variables.parameters, statistics)
    key = jax.random.key(seed)
    if mismatch:
        baked = GaussianMismatch(mismatch).perturb(jax.random.fold_in(key, 1), baked)
    logits = np.asarray(_logits(network, baked, statistics, inputs))
    host = np.asarray(inputs), np.asarray(labels)
    certificate = certify(network, baked, *host, logits=logits)
    by_last_layer = certify(network, baked, *host, logits=logits, by_last_layer=True)
    n = len(inputs)
    chosen = np.arange(n_attacked) * n // n_attacked if 0 < n_attacked < n else np.arange(n)
    attacks: dict[str, InputAttack | SquareAttack] = {
        "pgd": pgd(radius, n_steps, norm="2", loss="margin"),
        "fgsm": fgsm(radius, norm="2", loss="margin"),
    }
    if n_queries:
        attacks["square"] = SquareAttack(radius, n_queries)
    accuracies: dict[str, float | None] = {"square": None}
    for name, attack in attacks.items():
        numbers = jax.tree.map(jnp.float32, attack)
        found, fooled = _attacked(network, baked, statistics, inputs[chosen], labels[chosen], key, numbers)
        check_unbroken(by_last_layer.radii[chosen], inputs[chosen], found, fooled)  # pyright: ignore
        # As the certified share is computed: rounding must not put one above the other.
        # Logits that are no numbers are no answer to fool.
        survived = ~fooled & is_answer(jnp.asarray(logits[chosen]))
        accuracies[name] = float(np.mean(np.asarray(survived)))
    return {
        "clean": certificate.accuracy,
        "certified": float(np.mean(certificate.radii > radius)),
        "certified_by_last_layer": float(np.mean(by_last_layer.radii > radius)),
        "certified_of_attacked": float(np.mean(certificate.radii[chosen] > radius)),
        **accuracies,
        "constant": certificate.constant,
        "constants": layer_constants(network, baked),
        "curve": certified_accuracy(certificate.radii, [radius * x for x in CURVE]).tolist(),
        "mean_radius": float(np.mean(certificate.radii)),
    }


def robustness_sweep(
    grid: Sequence[dict[str, Any]],
    *,
    n_steps: int = 200,
    n_queries: int = 0,
    n_samples: int = 0,
    n_attacked: int = 0,
    mismatch: Sequence[float] = (0.0,),
    **how: Any,
) -> list[dict[str, Any]]:
    """Evaluate trained points at their ``radius``: a point per level of mismatch, with ``robustness``.

    Args:
        grid: Trained points with ``radius``.
        n_steps: As of ``lipschitz_robustness``, and so the next three.
        n_queries: Queries of the Square attack.
        n_samples: Test samples.
        n_attacked: Attacked samples.
        mismatch: Levels of mismatch.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split(list(grid), "mismatch", list(mismatch))
    return dj.run(points, lipschitz_robustness, store_key="robustness", **how)(
        "{*}",
        "{radius}",
        n_steps,
        n_queries,
        n_samples=n_samples,
        n_attacked=n_attacked,
        mismatch="{mismatch}",
    )


def small_radius_sweep(
    grid: Sequence[dict[str, Any]], radius: float, *, n_samples: int = 0, n_attacked: int = 1000, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points at a small radius as well, under ``small``; the attacks check the certificates.

    Args:
        grid: Trained points.
        radius: L2 radius.
        n_samples: Test samples; 0 for all.
        n_attacked: Attacked samples; 0 for all.
        how: Options of ``datajuicer.run``.
    """
    return dj.run(list(grid), lipschitz_robustness, store_key="small", **how)(
        "{*}", radius, 50, n_samples=n_samples, n_attacked=n_attacked
    )
