"""Gradient of a recurrent spiking layer with readout, against other libraries, each in a process of its own.

Batch 100, 100 time steps, 2 inputs, 256 recurrent units, 4 classes; cross-entropy of a linear readout of the
mean rates, differentiated with respect to all weights. Norse and sparx have the same kind of neuron (adaptive
threshold), Spyx and snnTorch a simpler one (no adaptation). JAX libraries are jitted and get the input
projection outside of the time loop; PyTorch ones run eagerly, as their documentation does. What is not
installed is left out with a line: `pip install '.[peers]'` (sparx needs Python 3.12).

Command: python benchmarks/peers.py [--repeats=7]
"""

import os
import time
from importlib.metadata import version

import jax
import jax.numpy as jnp
import measure
import numpy as np

N_IN, N_OUT, N_STEPS, BATCH, UNITS = 2, 4, 100, 100, 256
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((N_STEPS, BATCH, N_IN)).astype(np.float32)
LABELS = RNG.integers(0, N_OUT, BATCH)


def cross_entropy(rates, w_out):
    """Of a linear readout, for the JAX libraries."""
    return -jnp.mean(jax.nn.log_softmax(rates @ w_out)[jnp.arange(BATCH), LABELS])


def ours() -> dict[str, measure.Program]:
    """The LSNN."""
    from jaxrobust.networks.lsnn import LSNN

    network, inputs = LSNN(n_in=N_IN, n_out=N_OUT, n_hidden=UNITS), jnp.swapaxes(INPUTS, 0, 1)

    def loss(p):
        return cross_entropy(network.forward(p, {}, inputs).activations["rates"], p["w_out"])

    parameters = network.init(jax.random.key(0)).parameters
    return {"jaxrobust LSNN": measure.compiled(jax.value_and_grad(loss), parameters)}


def spyx() -> dict[str, measure.Program]:
    """Leaky neurons without adaptation or refractory period."""
    import spyx.nn
    from flax import nnx

    rngs = nnx.Rngs(0)
    cell = spyx.nn.RLIF((UNITS,), beta=0.95, rngs=rngs)
    graph, state = nnx.split((nnx.Linear(N_IN, UNITS, rngs=rngs), cell))

    def loss(both):
        state, w_out = both
        project, cell = nnx.merge(graph, state)
        spikes, _ = spyx.nn.run(cell, project(jnp.asarray(INPUTS)))
        return cross_entropy(jnp.mean(spikes, axis=0), w_out)

    program = measure.compiled(jax.value_and_grad(loss), (state, jnp.ones((UNITS, N_OUT))))
    return {f"Spyx {version('spyx')} RLIF (simpler)": program}


def sparx() -> dict[str, measure.Program]:
    """Adaptive neurons with a refractory period."""
    import flax.linen as nn
    import sparx

    class Network(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            spikes = sparx.nn.Recurrent(sparx.nn.ALIF(refractory=2))(nn.Dense(UNITS, use_bias=False)(inputs))
            return jnp.mean(spikes, axis=0)

    network, inputs = Network(), jnp.asarray(INPUTS)
    variables = network.init(jax.random.key(0), inputs)

    def loss(both):
        variables, w_out = both
        return cross_entropy(network.apply(variables, inputs), w_out)

    program = measure.compiled(jax.value_and_grad(loss), (variables, jnp.ones((UNITS, N_OUT))))
    return {f"sparx {version('sparxml')} ALIF": program}


def norse() -> dict[str, measure.Program]:
    """Adaptive neurons with a synaptic current, without a refractory period."""
    import torch
    from norse.torch.module.lsnn import LSNNRecurrent

    layer, readout = LSNNRecurrent(N_IN, UNITS), torch.nn.Linear(UNITS, N_OUT)
    return {
        f"Norse {version('norse')} LSNN": _by_torch(lambda x: readout(layer(x)[0].mean(0)), layer, readout)
    }


def snntorch() -> dict[str, measure.Program]:
    """Leaky neurons without adaptation or refractory period."""
    import snntorch
    import torch

    project, readout = torch.nn.Linear(N_IN, UNITS), torch.nn.Linear(UNITS, N_OUT)
    cell = snntorch.RLeaky(beta=0.95, linear_features=UNITS)

    def forward(x):
        currents, (spikes, potential), total = project(x), cell.init_rleaky(), 0
        for current in currents:
            spikes, potential = cell(current, spikes, potential)
            total = total + spikes
        return readout(total / N_STEPS)

    program = _by_torch(forward, project, cell, readout)
    return {f"snnTorch {version('snntorch')} RLeaky (simpler)": program}


def _by_torch(forward, *modules) -> measure.Program:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    inputs, labels = torch.from_numpy(INPUTS), torch.from_numpy(LABELS)

    def call():
        for module in modules:
            module.zero_grad()
        torch.nn.functional.cross_entropy(forward(inputs), labels).backward()

    began = time.perf_counter()
    call()
    return measure.Program(time.perf_counter() - began, float("nan"), call)


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 7)
    groups = {
        f"{build.__name__}, {memory}": measure.Group(build, (), keeps)
        for memory, keeps in (("kept", True), ("returned", False))
        for build in (ours, spyx, sparx, norse, snntorch)
    }
    figures = measure.alternating(groups, repeats)
    base = figures["ours, kept", "jaxrobust LSNN"].milliseconds
    rows = [
        [name, group.split(", ")[1], ms, processor, ms / base, first, scratch, faults]
        for (group, name), (ms, processor, faults, first, scratch) in figures.items()
    ]
    measure.heading(f"Gradient of a recurrent spiking layer, median of {repeats}")
    columns = ["library", "freed memory", "ms", "processor ms", "x ours with memory kept", "first call s"]
    print(measure.table([*columns, "scratch MiB", "page faults"], rows))


if __name__ == "__main__":
    main()
