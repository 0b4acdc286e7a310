"""A trained grid point brought back: its network, parameters and test data."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.architectures import dataset_of, network_of
from jaxrobust.errors import InputError
from jaxrobust.models.network import Network, Variables
from jaxrobust.robustness.mismatch import Apply
from jaxrobust.training.checkpoints import load_tree

# Samples computed at once: what bounds the memory of an evaluation.
BATCH_SIZE = 500


class Trained(NamedTuple):
    """A trained network and the part of its data that it is evaluated on."""

    network: Network
    variables: Variables
    inputs: Float[Array, "samples ..."]
    labels: Int[Array, " samples"]


def bring_back(model: Mapping[str, Any], part: str = "test") -> Trained:
    """Load a trained grid point with its ``"train"``, ``"validation"`` or ``"test"`` data.

    Raises:
        InputError: The point was not trained, or its data have no such part.
    """
    if "parameters" not in model:
        raise InputError(
            "The grid point holds no trained parameters; train it first with "
            'run(grid, "train", store_key="*")("{*}").'
        )
    if part not in ("train", "validation", "test"):
        raise InputError(f"The data have the parts train, validation and test, but no {part!r}.")
    dataset = dataset_of(model)
    network = network_of(model, dataset)
    like = jax.eval_shape(network.init, jax.random.key(0))
    variables = Variables(*load_tree(model["parameters"].path(), like=tuple(like))[0])
    examples = getattr(dataset, part)
    return Trained(network, variables, jnp.asarray(examples.inputs), jnp.asarray(examples.labels))


def apply_of(network: Network, variables: Variables) -> Apply:
    """The network as a function of (parameters, inputs), without dropout and with its running statistics."""

    def apply(parameters: Any, inputs: Array) -> Array:
        return network.forward(parameters, variables.statistics, inputs).logits

    return apply


def side_by_side(n: int) -> int:
    """How many of ``n`` draws to compute at once: one by one is fastest on a CPU."""
    return 1 if jax.default_backend() == "cpu" else min(n, 10)
