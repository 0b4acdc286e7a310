"""Eigenvalues of the Hessian of the task loss at trained parameters."""

from functools import partial
from typing import Any

import jax
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.measures.full_set import cross_entropy
from jaxrobust.measures.spectra import Spectrum, hessian_spectrum, top_eigenvalue
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import BATCH_SIZE, apply_of, load_trained


@partial(jax.jit, static_argnames=("network", "n_steps", "n_probes"))
def _spectrum(network, variables, inputs, labels, key: Array, n_steps: int, n_probes: int) -> Spectrum:
    loss = cross_entropy(apply_of(network, variables), inputs, labels, batch_size=BATCH_SIZE)
    return hessian_spectrum(loss, variables.parameters, key, n_steps=n_steps, n_probes=n_probes)


@evaluation(
    dependencies=["model:trained", "n_samples", "n_steps", "n_probes", "seed"],
    table_name="loss_spectrum",
)
def loss_spectrum(
    model: dict[str, Any], n_samples: int = 500, n_steps: int = 90, n_probes: int = 1, seed: int = 0
) -> dict[str, Any]:
    """Density of eigenvalues of the cross-entropy's Hessian, by Lanczos iterations.

    Args:
        model: A trained grid point.
        n_samples: Training samples, taken at even distances; 0 for all.
        n_steps: Lanczos steps.
        n_probes: Random vectors.
        seed: Seed of the vectors.

    Raises:
        InputError: The network has ``neuron_parameters``: JAX gives no second derivatives of its time loop.

    Returns:
        ``nodes`` and ``weights`` of the quadrature of each probe, and the ``largest`` eigenvalue found.
    """
    if model.get("neuron_parameters"):
        raise InputError(
            f"A network with neuron_parameters {', '.join(model['neuron_parameters'])} gives no second "
            f"derivatives, hence no spectrum; train one without to have its spectrum."
        )
    network, variables, inputs, labels = load_trained(model, "train", n_samples)
    key = jax.random.key(seed)
    found = _spectrum(network, variables, inputs, labels, key, n_steps, n_probes)
    return {
        "nodes": found.nodes.tolist(),
        "weights": found.weights.tolist(),
        "largest": float(top_eigenvalue(found)),
    }
