"""Steps of sparse adversarial training: masks, attacks, and five trials in one program; random images.

The published network 784-300-100-10, batches of 60, Adam. Gradients are those of one step's loss; steps are
those of the training program, 50 in a call.

Command: python benchmarks/sparse_tickets.py [--repeats=5]
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import measure
import numpy as np

from jaxrobust.criteria import CrossEntropy
from jaxrobust.pruning.masks import full
from jaxrobust.pruning.rules import LayerwisePruning
from jaxrobust.studies.sparse_tickets.protocol import METHODS, NETWORK, RATES, method_named
from jaxrobust.training.methods import Batch, Objective
from jaxrobust.training.optimizers import Adam, Masks, Projected
from jaxrobust.training.program import BlockInputs, Hyperparameters, train_block
from jaxrobust.training.schedule import Steps
from jaxrobust.training.training import Training, hyperparameters_of, start_of

BATCH, N_SAMPLES, N_STEPS, N_TRIALS = 60, 3000, 50, 5
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.random((N_SAMPLES, 784), np.float32)
LABELS = GENERATOR.integers(0, 10, N_SAMPLES).astype(np.int32)


def gradients() -> dict[str, measure.Program]:
    """The gradient of a step's loss, natural and adversarial."""
    parameters, _ = NETWORK.init(jax.random.key(0))
    batch = Batch(jnp.asarray(INPUTS[:BATCH]), jnp.asarray(LABELS[:BATCH]))
    objective = Objective(NETWORK, {}, batch, CrossEntropy(smoothing=0.1), 0.0)

    def program(name: str) -> measure.Program:
        method = method_named(name)
        function = jax.value_and_grad(lambda p, key: method.loss(objective, p, key)[0])
        return measure.compiled(function, parameters, jax.random.key(1))

    return {f"gradient, {name}": program(name) for name in METHODS}


def _training(seed: int, method: str, *, is_masked: bool) -> Training:
    parameters, _ = NETWORK.init(jax.random.key(0))
    masks = LayerwisePruning(RATES, n_rounds=8).prune(parameters, full(parameters))
    optimizer = Projected(Adam(), Masks(masks)) if is_masked else Adam()
    return Training(
        NETWORK, method_named(method), Steps(N_STEPS, 1.2e-3), optimizer, BATCH, seed, N_STEPS, Path()
    )


def _steps(trainings: list[Training], mapping: str) -> measure.Program:
    single = mapping == "single"

    def join(trees):
        return trees[0] if single else jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    start = join([start_of(training) for training in trainings])
    hyperparameters: Hyperparameters = join([hyperparameters_of(training) for training in trainings])
    axes = () if single else (len(trainings),)
    indices = GENERATOR.integers(0, N_SAMPLES, (N_STEPS, *axes, BATCH)).astype(np.int32)
    block = BlockInputs(jnp.asarray(indices), jnp.full((N_STEPS, *axes), 1.2e-3, jnp.float32))
    data = jnp.asarray(INPUTS), jnp.asarray(LABELS)

    def call():
        state = jax.tree.map(jnp.copy, start)  # train_block uses up what it is given
        end = train_block(NETWORK, mapping, state, hyperparameters, *data, block, jnp.int32(N_STEPS))
        return jax.block_until_ready(end)

    began = time.perf_counter()
    call()
    return measure.Program(time.perf_counter() - began, float("nan"), call)


def steps() -> dict[str, measure.Program]:
    """Steps of dense and of masked training, and of five masked trials together."""
    trials = [_training(seed, "fgsm", is_masked=True) for seed in range(N_TRIALS)]
    alone = [_steps([trial], "single") for trial in trials]
    mapping = "map" if jax.default_backend() == "cpu" else "vmap"
    one_by_one = measure.Program(alone[0].first_call_seconds, float("nan"), lambda: [p.call() for p in alone])
    return {
        "steps, dense": _steps([_training(0, "natural", is_masked=False)], "single"),
        "steps, masked": _steps([_training(0, "natural", is_masked=True)], "single"),
        "five trials, one after the other": one_by_one,
        "five trials, one program": _steps(trials, mapping),
    }


# What each program is compared with, and at most how many times that it may take.
TARGETS = {
    "gradient, fgsm": ("gradient, natural", 3.0),
    "gradient, pgd": ("gradient, natural", 10.0),
    "steps, masked": ("steps, dense", 1.1),
    "five trials, one program": ("five trials, one after the other", 1.2),
}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 5)
    groups = {"gradients": measure.Group(gradients), "steps": measure.Group(steps)}
    found = {name: figures for (_, name), figures in measure.alternating(groups, repeats).items()}
    rows = []
    for name, (ms, processor, _, first, _) in found.items():
        base, target = TARGETS.get(name, (name, float("nan")))
        against = found[base]
        ratios = ms / against.milliseconds, processor / against.processor_milliseconds
        rows.append([name, ms, processor, base if base != name else "–", *ratios, target, first])
    measure.heading(f"Sparse adversarial training, batch {BATCH}, {N_STEPS} steps, median of {repeats}")
    columns = ["program", "ms", "processor ms", "against", "x", "x processor", "at most", "first call s"]
    print(measure.table(columns, rows))


if __name__ == "__main__":
    main()
