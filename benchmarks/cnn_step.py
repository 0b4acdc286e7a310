"""Gradient of the CNN's robust loss on images like Fashion-MNIST's, 10 attack steps.

The baseline is the published structure: plain XLA convolutions, the attack unrolled inside ``jit`` and
differentiated through; once with XLA's pooling, and once with ours, which is faster on a CPU.

Command: python benchmarks/cnn_step.py [--repeats=3]
"""

from collections.abc import Callable
from functools import partial

import jax
import measure
import published_structure as published

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.layers.images import max_pool
from jaxrobust.networks.cnn import CNN
from jaxrobust.training.methods import Batch, Objective, ParameterAttackTraining, Standard

BATCH = 100


def example():
    """Network, parameters, statistics, a batch and a key."""
    network = CNN()
    keys = jax.random.split(jax.random.key(0), 4)
    parameters, statistics = network.init(keys[0])
    inputs = jax.random.uniform(keys[1], (BATCH, *network.image))
    return (
        network,
        parameters,
        statistics,
        Batch(inputs, jax.random.randint(keys[2], (BATCH,), 0, 10)),
        keys[3],
    )


def ours() -> dict[str, measure.Program]:
    """Our step, and the plain gradient of which it takes twelve."""
    network, parameters, statistics, batch, key = example()
    method = ParameterAttackTraining(Standard(), 0.25, ParameterAttack(0.1))
    objective = Objective(network, statistics, batch)
    return {
        "ours": measure.compiled(
            jax.value_and_grad(lambda p, k: method.loss(objective, p, k)[0]), parameters, key
        ),
        "plain gradient": measure.compiled(
            jax.value_and_grad(lambda p, k: objective.loss(p, k)[0]), parameters, key
        ),
    }


def unrolled(pool: Callable[[jax.Array], jax.Array], name: str) -> dict[str, measure.Program]:
    """The published structure, and its plain gradient."""
    _, parameters, _, batch, key = example()
    apply = partial(published.cnn_logits, pool=pool)

    def robust(parameters, key):
        return published.robust_loss_of(apply, parameters, batch, key, beta=0.25, size=0.1, n_steps=10)

    def plain(parameters):
        return published.cross_entropy(apply(parameters, batch.inputs), batch.labels)

    return {
        name: measure.compiled(jax.value_and_grad(robust), parameters, key),
        "its plain gradient": measure.compiled(jax.value_and_grad(plain), parameters),
    }


BASELINES = {
    "published structure": published.windowed_max,
    "published structure, our pooling": max_pool,
}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    groups = {}
    for memory, keeps in (("kept", True), ("returned", False)):
        groups["ours", memory] = measure.Group(ours, (), keeps)
        for name, pool in BASELINES.items():
            groups[name, memory] = measure.Group(unrolled, (pool, name), keeps)
    figures = measure.alternating({", ".join(key): group for key, group in groups.items()}, repeats)
    base = figures["ours, kept", "ours"]
    twelve = 12 * figures["ours, kept", "plain gradient"].milliseconds
    rows = [
        [
            name, group.split(", ")[-1], ms, processor, ms / base.milliseconds, ms / twelve,
            first, first / base.first_call_seconds, scratch, faults,
        ]
        for (group, name), (ms, processor, faults, first, scratch) in figures.items()
    ]  # fmt: skip
    measure.heading(f"Gradient of the CNN's robust loss, 28x28 images, batch {BATCH}, median of {repeats}")
    columns = [
        "program",
        "freed memory",
        "ms",
        "processor ms",
        "x ours with memory kept",
        "x twelve of our plain gradients",
    ]
    print(measure.table([*columns, "first call s", "x ours", "scratch MiB", "page faults"], rows))


if __name__ == "__main__":
    main()
