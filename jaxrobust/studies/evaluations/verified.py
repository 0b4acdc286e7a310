"""Accuracy that no parameters inside a box can take away, proven by interval propagation."""

from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.certificates.lsnn_intervals import lsnn_bounds, lsnn_margins
from jaxrobust.certificates.propagation import output_bounds, output_margins
from jaxrobust.certificates.verification import (
    accuracy_verified_by_margins,
    box_around,
    verified_accuracy,
)
from jaxrobust.criteria import CrossEntropy, check_classification
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import apply_of, load_trained
from jaxrobust.trees import check_range

# The published levels (figure S9) and batch size.
BOX_SIZES = (0.0, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3)
BATCH_SIZE = 100
Rule = Literal["logits", "margins"]


@partial(jax.jit, static_argnames=("network", "rule"))
def _verified(network, variables, inputs, labels, size: Array, rule: Rule) -> Float[Array, ""]:
    apply, box = apply_of(network, variables), box_around(variables.parameters, size)
    is_spiking = isinstance(network, LSNN)
    if rule == "logits":
        bounds_of = (
            partial(lsnn_bounds, constants=network.constants) if is_spiking else partial(output_bounds, apply)
        )
        return verified_accuracy(bounds_of, box, inputs, labels, batch_size=BATCH_SIZE)
    margins_of = (
        partial(lsnn_margins, constants=network.constants) if is_spiking else partial(output_margins, apply)
    )
    return accuracy_verified_by_margins(margins_of, box, inputs, labels, batch_size=BATCH_SIZE)


@evaluation(
    dependencies=["model:trained", "size", "n_samples?=0", "rule?='logits'"],
    table_name="verified_test_accuracy",
)
def verified_test_accuracy(
    model: dict[str, Any], size: float, n_samples: int = 0, rule: Rule = "logits"
) -> float:
    """Fraction of test samples that every network in the box ``theta +- size |theta|`` classifies correctly.

    Interval propagation gives a lower bound of the true fraction.

    Args:
        model: A trained grid point.
        size: Half the width of the box relative to each parameter.
        n_samples: Test samples, taken at even distances; 0 for all.
        rule: What decides: bounds of the ``"logits"``, the published rule, or of the ``"margins"`` between
            them, which prove more.

    Raises:
        InputError: The size is no size, the network's products are not in float32, or its criterion is not
            one for classes.
    """
    if rule not in get_args(Rule):
        raise InputError(f"rule is {' or '.join(get_args(Rule))}, not {rule!r}.")
    check_range(size, "size of a box")
    if model.get("precision", "float32") != "float32":  # before data are loaded; the bounds refuse it anyway
        raise InputError(
            f"Interval propagation bounds products in float32, but this network has them in "
            f"{model['precision']}; verify one that was trained with precision=float32."
        )
    check_classification(model.get("criterion", CrossEntropy()), "A certificate")
    return float(_verified(*load_trained(model, n_samples=n_samples), jnp.float32(size), rule))
