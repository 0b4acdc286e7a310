"""Accuracy that no parameters inside a box can take away, proven by interval propagation."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.certificates.lsnn_intervals import lsnn_bounds
from jaxrobust.certificates.propagation import output_bounds
from jaxrobust.certificates.verification import box_around, verified_accuracy
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import apply_of, load_trained

# The published levels (figure S9) and batch size.
BOX_SIZES = (0.0, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3)
BATCH_SIZE = 100


@partial(jax.jit, static_argnames="network")
def _verified(network, variables, inputs, labels, size: Array) -> Float[Array, ""]:
    if isinstance(network, LSNN):
        bounds_of = partial(lsnn_bounds, constants=network.constants)
    else:
        bounds_of = partial(output_bounds, apply_of(network, variables))
    box = box_around(variables.parameters, size)
    return verified_accuracy(bounds_of, box, inputs, labels, batch_size=BATCH_SIZE)


@evaluation(
    dependencies=["model:trained", "size", "n_samples?=0"],
    table_name="verified_test_accuracy",
)
def verified_test_accuracy(model: dict[str, Any], size: float, n_samples: int = 0) -> float:
    """Fraction of test samples that every network in the box ``theta +- size |theta|`` classifies correctly.

    Interval propagation gives a lower bound of the true fraction.

    Args:
        model: A trained grid point.
        size: Half the width of the box relative to each parameter.
        n_samples: Test samples, taken at even distances; 0 for all.

    Raises:
        InputError: The network's products are not in float32.
    """
    if model.get("precision", "float32") != "float32":
        raise InputError(
            f"Interval propagation bounds products in float32, but this network has them in "
            f"{model['precision']}; verify one that was trained with precision=float32."
        )
    return float(_verified(*load_trained(model, n_samples=n_samples), jnp.float32(size)))
