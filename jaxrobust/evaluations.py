"""Cachable evaluations of a trained grid point: numbers out, for tables and figures."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

import datajuicer as dj
from jaxrobust.architectures import dataset_of, network_of
from jaxrobust.errors import InputError
from jaxrobust.models.network import Network, Variables
from jaxrobust.robustness.mismatch import mismatch_accuracies
from jaxrobust.training.checkpoints import load_tree

# The published protocol: 100 devices a level (section 7).
MISMATCH_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
N_DRAWS = 100


def trained_variables(model: dict[str, Any], network: Network) -> Variables:
    """The parameters and statistics of a trained grid point, from its artifact.

    Raises:
        InputError: The point was not trained.
    """
    if "parameters" not in model:
        raise InputError(
            "The grid point holds no trained parameters; train it first with "
            'run(grid, "train", store_key="*")("{*}").'
        )
    like = jax.eval_shape(network.init, jax.random.key(0))
    return Variables(*load_tree(model["parameters"].path(), like=tuple(like))[0])


@partial(jax.jit, static_argnames=("network", "n_draws", "draws_at_once", "batch_size"))
def _mismatch_accuracies(
    network: Network,
    variables: Variables,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    level: Float[Array, ""],
    n_draws: int,
    draws_at_once: int,
    batch_size: int,
) -> Float[Array, " n_draws"]:
    return mismatch_accuracies(
        lambda parameters, batch: network.forward(parameters, variables.statistics, batch).logits,
        variables.parameters,
        inputs,
        labels,
        key,
        level=level,
        n_draws=n_draws,
        draws_at_once=draws_at_once,
        batch_size=batch_size,
    )


@dj.cachable(dependencies=["model:trained", "level", "n_draws", "seed"])
def mismatch_accuracy(
    model: dict[str, Any], level: float, n_draws: int = N_DRAWS, seed: int = 0
) -> list[float]:
    """Test accuracy of ``n_draws`` devices whose parameters deviate by ``level`` times their size.

    Args:
        model: A trained grid point.
        level: Relative standard deviation of the mismatch (zeta).
        n_draws: Number of devices; at level 0 all are the same, and one is computed.
        seed: Seed of the devices.

    Returns:
        One accuracy a device, as a fraction.
    """
    if not 0 <= level < float("inf"):
        raise InputError(f"A mismatch level must be a finite number of at least 0, not {level!r}.")
    dataset = dataset_of(model)
    network = network_of(model, dataset)
    on_cpu = jax.default_backend() == "cpu"
    accuracies = _mismatch_accuracies(
        network,
        trained_variables(model, network),
        jnp.asarray(dataset.test.inputs),
        jnp.asarray(dataset.test.labels),
        jax.random.key(seed),
        jnp.float32(level),
        n_draws=1 if level == 0 else n_draws,
        draws_at_once=1 if on_cpu else 10,
        batch_size=500,
    )
    return [float(a) for a in accuracies]


def mismatch_sweep(
    grid: Sequence[dict[str, Any]], levels: Sequence[float] = MISMATCH_LEVELS, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points at several levels: a point each, with ``level`` and ``accuracies``.

    Args:
        grid: Trained grid points.
        levels: Mismatch levels.
        how: Options of ``datajuicer.run``.
    """
    points = dj.split(list(grid), "level", list(levels))
    return dj.run(points, mismatch_accuracy, store_key="accuracies", **how)("{*}", "{level}")
