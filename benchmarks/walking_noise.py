"""The MLP of the walking noise study: its training over a plain jitted loop, and an inference-only study.

The training is the whole one (shuffling, validation, metrics, checkpoints); the plain loop gathers batches of
a shuffled epoch and takes Adam steps, one jitted call per epoch, and does nothing else. The study is 334
accuracies of one network on 10,000 images: additive noise everywhere (17 levels), multiplicative noise
everywhere (21), and both at each of eight positions (21 and 16). Data are random, of MNIST's shape.

Command: python benchmarks/walking_noise.py [--repeats=1]; WALKING_NOISE_EPOCHS=10 for a shorter training.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import measure
import numpy as np
import optax

from jaxrobust.data.dataset import Examples
from jaxrobust.measures.walking_profile import noise_accuracies
from jaxrobust.networks.network import Variables
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.sweeps import Kind, NoiseSweep
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Standard
from jaxrobust.training.optimizers import Adam
from jaxrobust.training.schedule import Cosine
from jaxrobust.training.training import Training

EPOCHS = int(os.environ.get("WALKING_NOISE_EPOCHS", "100"))
N_TRAIN, N_VALIDATION, N_TEST, BATCH = 54_000, 6_000, 10_000, 128
NETWORK = PublishedNetwork("mlp").build((28, 28, 1), 10)
RATE = 1e-3


def examples(n: int) -> Examples:
    """Random images."""
    rng = np.random.default_rng(n)
    return Examples(rng.random((n, 28, 28, 1), np.float32), rng.integers(0, 10, n).astype(np.int32))


def _first(call: Callable[[], object]) -> measure.Program:
    began = time.process_time()  # of all cores
    call()
    return measure.Program(time.process_time() - began, float("nan"), call)


def trainings() -> dict[str, measure.Program]:
    """The whole training and the plain loop."""
    train_set, validation_set = examples(N_TRAIN), examples(N_VALIDATION)

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            training = Training(
                *(NETWORK, Standard(), Cosine(EPOCHS, RATE, per="epoch"), Adam(), BATCH, 0, 2000),
                Path(folder),
                keep="last",
            )
            train([training], train_set, validation_set)

    inputs, labels = jnp.asarray(train_set.inputs), jnp.asarray(train_set.labels)
    adam = optax.inject_hyperparams(optax.adam)(RATE)

    @jax.jit
    def epoch(state, key, rate):
        parameters, memory = state
        memory.hyperparams["learning_rate"] = rate
        order = jax.random.permutation(key, N_TRAIN)[: N_TRAIN // BATCH * BATCH].reshape(-1, BATCH)

        def step(state, chosen):
            parameters, memory = state

            def loss(p):
                logits = NETWORK.forward(p, {}, inputs[chosen]).logits
                return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

            updates, memory = adam.update(jax.grad(loss)(parameters), memory)
            return (optax.apply_updates(parameters, updates), memory), None

        return jax.lax.scan(step, (parameters, memory), order)[0]

    def plain() -> None:
        parameters = NETWORK.init(jax.random.key(0)).parameters
        state = parameters, adam.init(parameters)
        for i in range(EPOCHS):
            rate = RATE * (1 + np.cos(np.pi * i / EPOCHS)) / 2
            state = epoch(state, jax.random.fold_in(jax.random.key(1), i), jnp.float32(rate))
        jax.block_until_ready(state)

    return {"whole training": _first(whole), "plain loop": _first(plain)}


def study() -> dict[str, measure.Program]:
    """The inference-only study."""
    test_set = examples(N_TEST)
    variables: Variables = NETWORK.init(jax.random.key(0))
    inputs, labels = jnp.asarray(test_set.inputs), jnp.asarray(test_set.labels)
    positions = tuple(NETWORK.positions)
    places: list[tuple[tuple[str, ...], int, int]] = [(positions, 17, 21)]
    places += [((name,), 21, 16) for name in positions]
    kinds: tuple[Kind, Kind] = ("additive", "multiplicative")
    plan = [(kind, where, n) for where, *sizes in places for kind, n in zip(kinds, sizes, strict=True)]
    assert sum(n for _, _, n in plan) == 334

    def call() -> None:
        for kind, where, n in plan:
            sweep = NoiseSweep(where, tuple(np.logspace(-2, 2, n).tolist()), kind)
            found = noise_accuracies(
                NETWORK, variables, inputs, labels, jax.random.key(0), sweep.placements()
            )
            jax.block_until_ready(found)

    return {"334 evaluations": _first(call)}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 1)
    figures = measure.alternating(
        {"training": measure.Group(trainings), "study": measure.Group(study)}, repeats
    )
    plain = figures["training", "plain loop"].processor_milliseconds
    rows = [
        [
            name,
            found.milliseconds / 1e3,
            found.processor_milliseconds / 1e3,
            found.processor_milliseconds / plain if group == "training" else float("nan"),
            found.first_call_seconds,
        ]
        for (group, name), found in figures.items()
    ]
    measure.heading(f"MLP of {EPOCHS} epochs, and 334 evaluations, median of {repeats}")
    columns = ["program", "s", "processor s", "x plain loop (processor)", "first call, processor s"]
    print(measure.table(columns, rows))


if __name__ == "__main__":
    main()
