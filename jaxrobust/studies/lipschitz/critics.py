"""Critics of Wasserstein distances, trained on pairs of distributions whose distance is known."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

import datajuicer as dj
from jaxrobust.certificates.lipschitz import lipschitz_bound
from jaxrobust.errors import InputError
from jaxrobust.measures.wasserstein import PointAndSphere, ShiftedGaussians, wasserstein_estimate
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.lipschitz import Activation, LipschitzCritic
from jaxrobust.networks.network import Variables
from jaxrobust.studies.lipschitz.protocols import parameterization

Known = ShiftedGaussians | PointAndSphere
# RMSprop as published: decay 0.99, no momentum.
DECAY, EPSILON = 0.99, 1e-8
N_HELD_OUT = 4096


@partial(jax.jit, static_argnames=("network", "pair", "n_steps", "batch_size"))
def train_critic(
    network: LinenNetwork, pair: Known, key: Array, learning_rate: Array, n_steps: int, batch_size: int
) -> tuple[Variables, Array]:
    """Train a critic on fresh samples in every step; return its variables and the estimate of each step.

    Args:
        network: With one output.
        pair: The two distributions.
        key: PRNG key of the start and the samples.
        learning_rate: Of RMSprop.
        n_steps: Training steps, one loop of one program.
        batch_size: Samples of each distribution per step.
    """
    optimizer = optax.chain(optax.scale_by_rms(DECAY, EPSILON), optax.scale(-1.0))
    key_start, key_steps = jax.random.split(key)
    parameters, statistics = network.init(key_start)

    def step(state: Any, index: Array) -> tuple[Any, Array]:
        parameters, statistics, memory = state
        real, generated = pair.sample(jax.random.fold_in(key_steps, index), batch_size)

        def loss(parameters: Any) -> tuple[Array, Any]:
            both = jnp.concatenate([real, generated])
            outputs = network.forward(parameters, statistics, both, training=True)
            values = outputs.logits[:, 0]
            return jnp.mean(values[batch_size:]) - jnp.mean(values[:batch_size]), outputs.statistics

        (value, new_statistics), gradient = jax.value_and_grad(loss, has_aux=True)(parameters)
        change, memory = optimizer.update(gradient, memory, parameters)
        change = jax.tree.map(lambda c: learning_rate * c, change)
        return (optax.apply_updates(parameters, change), new_statistics, memory), -value

    start = (parameters, statistics, optimizer.init(parameters))
    (parameters, statistics, _), estimates = jax.lax.scan(step, start, jnp.arange(n_steps))
    return Variables(parameters, statistics), estimates


@dj.cachable(
    dependencies=[
        f"model:{name}" for name in ("critic", "pair", "learning_rate", "n_steps", "batch_size", "seed")
    ],
    table_name="critic_distance",
)
def critic_distance(model: dict[str, Any]) -> dict[str, Any]:
    """Train a critic and estimate the distance on samples that it was not trained on.

    Returns:
        ``distance`` and ``standard_error``, divided by the measured ``constant``; ``raw``, not divided; and
        ``estimates``, of a hundred steps on the way.
    """
    pair: Known = model["pair"]
    if model["n_steps"] < 1 or model["batch_size"] < 2:
        raise InputError("A critic needs at least one step of at least two samples.")
    network = model["critic"].build(pair.shape)
    key_train, key_test = jax.random.split(jax.random.key(model["seed"]))
    rate = jnp.float32(model["learning_rate"])
    variables, estimates = train_critic(network, pair, key_train, rate, model["n_steps"], model["batch_size"])
    baked = jax.jit(network.bake)(variables.parameters, variables.statistics)
    real, generated = (
        np.asarray(network.forward(baked, variables.statistics, samples).logits)
        for samples in pair.sample(key_test, N_HELD_OUT)
    )
    constant = lipschitz_bound(network, baked).constant
    found = wasserstein_estimate(real, generated, constant)
    stride = max(1, model["n_steps"] // 100)
    return {
        "distance": found.distance,
        "standard_error": found.standard_error,
        "raw": found.distance * constant,
        "constant": constant,
        "estimates": np.asarray(estimates)[::stride].tolist(),
    }


def critics(
    pairs: Sequence[Known],
    methods: Sequence[str],
    activations: Sequence[Activation] = ("maxmin", "relu"),
    *,
    learning_rates: Sequence[float] = (1e-3,),
    channels: tuple[int, ...] = (32, 64),
    n_steps: int = 600,
    batch_size: int = 64,
    seeds: Sequence[int] = (0,),
) -> list[dict[str, Any]]:
    """Return points for every pair, parameterization, activation, learning rate and seed."""
    grid = [
        {
            "pair": pair,
            "parameterization": method,
            "activation": activation,
            "critic": LipschitzCritic(parameterization(method), activation, channels),
            "n_steps": n_steps,
            "batch_size": batch_size,
            "train": critic_distance,
        }
        for pair in pairs
        for method in methods
        for activation in activations
    ]
    return dj.split(dj.split(grid, "learning_rate", list(learning_rates)), "seed", list(seeds))
