"""The whole training loop of the ECG LSNN over its bare jitted steps: 400 steps, as between two validations.

The loop shuffles, gathers batches, sums up metrics, validates, writes metrics and a checkpoint. The bare
steps are the same step, jitted, called in a Python loop on batches that lie ready. Training without attack:
its steps are twelve times as short as robust ones, so the loop has nowhere to hide.

Command: python benchmarks/training_loop.py [--repeats=3]
"""

import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import measure
import numpy as np
import optax

from jaxrobust.data.dataset import Examples
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Batch, FiringRates, Objective, Standard
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training

# About as many samples as a small data set has, and the published validation interval.
N_TRAIN, N_VALIDATION, N_STEPS, BATCH = 4020, 670, 400, 100
NETWORK = LSNN(n_in=2, n_out=4)


def examples(n: int) -> Examples:
    """Random data of the heartbeats' shape."""
    rng = np.random.default_rng(n)
    inputs = rng.standard_normal((n, 100, 2)).astype(np.float32)
    return Examples(inputs, rng.integers(0, 4, n).astype(np.int32))


def programs() -> dict[str, measure.Program]:
    """The loop and the bare steps; both are compiled before they are timed."""
    train_set, validation_set = examples(N_TRAIN), examples(N_VALIDATION)

    def loop():
        with tempfile.TemporaryDirectory() as folder:
            training = Training(
                network=NETWORK,
                method=FiringRates(Standard(), 0.001),
                schedule=Phases(n_epochs=(N_STEPS * BATCH / N_TRAIN,), learning_rates=(0.001,)),
                optimizer="adam",
                batch_size=BATCH,
                seed=0,
                eval_step_interval=N_STEPS,
                folder=Path(folder),
            )
            (trained,) = train([training], train_set, validation_set)
            assert trained.n_steps == N_STEPS

    adam = optax.adam(0.001)

    @jax.jit
    def step(parameters, memory, batch, key):
        def loss(p):
            objective = Objective(NETWORK, {}, batch)
            return FiringRates(Standard(), 0.001).loss(objective, p, key)[0]

        gradient = jax.grad(loss)(parameters)
        updates, memory = adam.update(gradient, memory)
        return optax.apply_updates(parameters, updates), memory

    parameters = NETWORK.init(jax.random.key(0)).parameters
    memory, key = adam.init(parameters), jax.random.key(1)
    batches = [
        Batch(jnp.asarray(train_set.inputs[i : i + BATCH]), jnp.asarray(train_set.labels[i : i + BATCH]))
        for i in range(0, N_TRAIN - BATCH, BATCH)
    ]

    def bare():
        state = parameters, memory
        for i in range(N_STEPS):
            state = step(*state, batches[i % len(batches)], key)
        jax.block_until_ready(state)

    def first(call):
        began = time.perf_counter()
        call()
        return measure.Program(time.perf_counter() - began, float("nan"), call)

    return {"whole loop": first(loop), "bare steps": first(bare)}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    figures = measure.alternating({"kept": measure.Group(programs)}, repeats)
    rows = [
        [name, ms, processor, ms / figures["kept", "bare steps"].milliseconds, faults]
        for (_, name), (ms, processor, faults, *_) in figures.items()
    ]
    measure.heading(f"{N_STEPS} training steps of the ECG LSNN without attack, median of {repeats}")
    print(measure.table(["program", "ms", "processor ms", "x bare steps", "page faults"], rows))


if __name__ == "__main__":
    main()
