"""Training steps of Lipschitz networks, and the share of their kernels; random images of CIFAR-10's size.

The published small and large network with BCOP, batches of 128, hinge loss, Adam. Measured in one run: the
whole step; the kernels of all convolutions with their derivative; the largest dense kernel with its
derivative, by the Gram form and by twenty plain iterations; and the same networks of orthogonium (PyTorch),
whose convolutions are the successors of BCOP. What is not installed is left out with a line:
`pip install '.[peers]'`.

Limits to hold: convolution kernels at most 0.25 of the large step; Gram form at most 0.25 of the plain
iteration; steps at most 0.4 (small) and 0.75 (large) of orthogonium's; peak memory of the large network at
most 1.7 times its own. The peak includes XLA's compiler, nearly all of it for the small network.

Compiling takes most of the time; progress is printed to the standard error stream.

Command: python benchmarks/lipschitz.py [--repeats=3]
"""

import os
import resource
import time
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np
import optax
from orthogonium_network import orthogonium_network

from jaxrobust.criteria import Hinge
from jaxrobust.layers.lipschitz.polar import bjorck, orthogonalize
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.lipschitz import Layout, LipschitzNetwork
from jaxrobust.networks.network import Variables

BATCH, IMAGE, N_CLASSES, RATE = 128, (32, 32, 3), 10, 1e-3
MARGIN = 0.5 * 2**0.5
N_ITERATIONS = 20
DENSE = (4096, 512)  # the first dense layer of the large network
RNG = np.random.default_rng(0)
INPUTS = RNG.random((BATCH, *IMAGE), np.float32)
LABELS = RNG.integers(0, N_CLASSES, BATCH)
LAYOUTS_MEASURED: tuple[Layout, ...] = ("small", "large")


def _peak() -> float:
    """The most memory that this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def start_of(network: LinenNetwork) -> Variables:
    """Fresh parameters, by a program that is not measured and runs once, so that it is compiled quickly."""
    jax.config.update("jax_disable_most_optimizations", True)
    variables = jax.block_until_ready(jax.jit(network.init)(jax.random.key(0)))
    jax.config.update("jax_disable_most_optimizations", False)
    return variables


def step(layout: Layout) -> Mapping[str, measure.Program]:
    """Our whole training step."""
    imported = _peak()
    network = LipschitzNetwork(layout).build(IMAGE, N_CLASSES)
    parameters, statistics = start_of(network)
    optimizer, criterion = optax.adam(RATE), Hinge(MARGIN)

    def one(parameters: Any, memory: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        def loss(parameters: Any) -> jax.Array:
            logits = network.forward(parameters, statistics, inputs, training=True).logits
            return criterion.loss(logits, labels)

        change, memory = optimizer.update(jax.grad(loss)(parameters), memory, parameters)
        return optax.apply_updates(parameters, change), memory

    arguments = (parameters, optimizer.init(parameters), jnp.asarray(INPUTS), jnp.asarray(LABELS))
    program = measure.compiled(one, *arguments)
    return {"step": program._replace(scratch_mib=_peak() - imported)}


def kernels() -> Mapping[str, measure.Program]:
    """Convolution kernels of the large network, and the largest dense one in two ways, with derivatives."""
    network = LipschitzNetwork("large").build(IMAGE, N_CLASSES)
    parameters, statistics = start_of(network)
    names = [name for name in parameters if name.startswith("conv")]

    def convolutions(parameters: Any) -> jax.Array:
        baked = network.bake(parameters, statistics)
        return sum((jnp.sum(jnp.sin(baked[name]["kernel"])) for name in names), jnp.zeros(()))

    dense = jnp.asarray(RNG.standard_normal(DENSE), jnp.float32) / 100

    def plain(w: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(bjorck(w, N_ITERATIONS)))

    def gram(w: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(orthogonalize(w)))

    return {
        "convolution kernels": measure.compiled(jax.grad(convolutions), parameters),
        "dense kernel, Gram form": measure.compiled(jax.grad(gram), dense),
        f"dense kernel, {N_ITERATIONS} plain iterations": measure.compiled(jax.grad(plain), dense),
    }


def orthogonium(layout: Layout) -> Mapping[str, measure.Program]:
    """The same network of orthogonium, one step."""
    import torch

    import_module("orthogonium.layers.conv.AOC.ortho_conv")
    imported = _peak()
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    network = orthogonium_network(layout, IMAGE, N_CLASSES)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    inputs = torch.from_numpy(np.ascontiguousarray(INPUTS.transpose(0, 3, 1, 2)))
    labels = torch.from_numpy(LABELS)

    def call() -> None:
        optimizer.zero_grad()
        torch.nn.functional.multi_margin_loss(network(inputs), labels, margin=MARGIN).backward()
        optimizer.step()

    began = time.perf_counter()
    call()
    program = measure.Program(time.perf_counter() - began, _peak() - imported, call)
    return {f"step, orthogonium {version('orthogonium')}": program}


def main() -> None:
    """Measure and print the tables."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    groups = {f"ours, {layout}": measure.Group(partial(step, layout)) for layout in LAYOUTS_MEASURED}
    groups["kernels, large"] = measure.Group(kernels)
    groups |= {
        f"orthogonium, {layout}": measure.Group(partial(orthogonium, layout)) for layout in LAYOUTS_MEASURED
    }
    figures = measure.alternating(groups, repeats)
    measure.heading(f"Steps of Lipschitz networks, batch {BATCH}, median of {repeats}")
    rows = []
    for (group, name), found in figures.items():
        peak = found.scratch_mib if name.startswith("step") else float("nan")
        times = (found.milliseconds, found.processor_milliseconds, found.first_call_seconds)
        rows.append([group.split(", ")[1], name, *times, peak])
    columns = ["network", "program", "ms", "processor ms", "first call s", "peak MiB above imports"]
    print(measure.table(columns, rows))
    print(f"\n{measure.table(['ratio', 'measured', 'limit'], ratios(figures))}")


def ratios(figures: Mapping[tuple[str, str], measure.Figures]) -> list[list[Any]]:
    """Return what was measured beside its limit; without orthogonium, the rows that need it are left out."""
    by_group = {group: found for (group, _), found in figures.items() if not group.startswith("kernels")}
    parts = {name: found for (group, name), found in figures.items() if group.startswith("kernels")}
    convolutions, gram, plain = (found.milliseconds for found in parts.values())
    rows: list[list[Any]] = [
        ["convolution kernels / large step", convolutions / by_group["ours, large"].milliseconds, 0.25],
        ["dense kernel, Gram form / plain iteration", gram / plain, 0.25],
    ]
    for layout, limit, limit_of_memory in (("small", 0.4, float("nan")), ("large", 0.75, 1.7)):
        ours, theirs = by_group[f"ours, {layout}"], by_group.get(f"orthogonium, {layout}")
        if theirs is not None:
            rows.append([f"{layout} step / orthogonium", ours.milliseconds / theirs.milliseconds, limit])
            memory = ours.scratch_mib / theirs.scratch_mib
            rows.append([f"{layout} peak memory / orthogonium", memory, limit_of_memory])
    return rows


if __name__ == "__main__":
    main()
