"""The two published sizes of the LSNN, with random data."""

import jax
from jax import Array

from jaxrobust.networks.lsnn import LSNN
from jaxrobust.training.methods import Batch
from jaxrobust.trees import Parameters

BATCH = 100
# Inputs, classes, time steps.
SIZES = {"ECG (2 inputs, 100 steps)": (2, 4, 100), "speech (40 inputs, 98 steps)": (40, 8, 98)}


def example(size: str) -> tuple[LSNN, Parameters, Batch, Array]:
    """Network, parameters, a batch and a key."""
    n_in, n_out, n_steps = SIZES[size]
    network = LSNN(n_in=n_in, n_out=n_out)
    keys = jax.random.split(jax.random.key(0), 4)
    inputs = jax.random.normal(keys[1], (BATCH, n_steps, n_in))
    labels = jax.random.randint(keys[2], (BATCH,), 0, n_out)
    return network, network.init(keys[0]).parameters, Batch(inputs, labels), keys[3]
