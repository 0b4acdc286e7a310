"""Load a trained grid point: its network, parameters and test data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.criteria import Score, is_hit
from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.losses import Apply
from jaxrobust.networks.network import Network, Variables
from jaxrobust.studies.parameter_noise.catalogue import network_of
from jaxrobust.studies.side_by_side import dataset_of
from jaxrobust.studies.training_points import check_trained, load_variables

# Samples computed at once: what bounds the memory of an evaluation.
BATCH_SIZE = 500


class Trained(NamedTuple):
    """A trained network and the part of its data that it is evaluated on."""

    network: Network
    variables: Variables
    inputs: Float[Array, "samples ..."]
    labels: Int[Array, " samples"]


def load_trained(model: Mapping[str, Any], part: str = "test", n_samples: int = 0) -> Trained:
    """Load a trained grid point with its ``"train"``, ``"validation"`` or ``"test"`` data.

    Args:
        model: A trained grid point.
        part: Which data.
        n_samples: How many samples, taken at even distances; 0 or more than there are for all.

    Raises:
        InputError: The point was not trained, or its data have no such part.
    """
    if part not in ("train", "validation", "test"):
        raise InputError(f"The data have the parts train, validation and test, but no {part!r}.")
    if n_samples < 0:
        raise InputError(f"n_samples is a number of samples, 0 for all, not {n_samples}.")
    check_trained(model)
    dataset = dataset_of(model)
    network = network_of(model, dataset)
    variables = load_variables(model, network)
    chosen = _Part(dataset.fingerprint, part, n_samples, getattr(dataset, part))
    return Trained(network, variables, *_on_device(chosen))


@dataclass(frozen=True)
class _Part:
    """Samples of a data set; equal fingerprints mean equal numbers."""

    fingerprint: str
    name: str
    n_samples: int
    examples: Examples = field(compare=False)


# One network after the other is evaluated on the same samples, at one level after the other.
@lru_cache(maxsize=1)
def _on_device(part: _Part) -> tuple[Array, Array]:
    examples = part.examples.at_even_distances(part.n_samples)
    return jnp.asarray(examples.inputs), jnp.asarray(examples.labels)


def apply_of(network: Network, variables: Variables) -> Apply:
    """The network as a function of (parameters, inputs), without dropout and with its running statistics."""

    def apply(parameters: Any, inputs: Array) -> Array:
        return network.forward(parameters, variables.statistics, inputs).logits

    return apply


def score_of(model: Mapping[str, Any]) -> Score:
    """The metric of a grid point: accuracy, or the score of a criterion that is none for classes."""
    criterion = model.get("criterion")
    return is_hit if criterion is None or criterion.is_classification else criterion.score


def vmap_size(n: int) -> int:
    """Return how many of ``n`` draws to compute at once: 1 on a CPU (fastest there), else at most 10."""
    return 1 if jax.default_backend() == "cpu" else min(n, 10)
