"""How large the weights of a trained grid point are."""

from typing import Any

import jax.numpy as jnp

from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import load_trained


@evaluation(dependencies=["model:trained"], table_name="mean_absolute_weights")
def mean_absolute_weights(model: dict[str, Any]) -> dict[str, float]:
    """Mean absolute value of every tensor at the top of the parameters, by name.

    Args:
        model: A trained grid point of an LSNN or MLP, whose parameters have one level.
    """
    parameters = load_trained(model, n_samples=1).variables.parameters
    return {name: float(jnp.mean(jnp.abs(tensor))) for name, tensor in parameters.items()}
