"""Gradient and robust training step of the LSNN, against the published structure and bare matrix products.

Command: python benchmarks/training_step.py [--repeats=15]
"""

import argparse

import jax
import jax.numpy as jnp
import measure
import published_structure as published

from jaxrobust.models.lsnn import LSNN
from jaxrobust.robustness.attack import ParameterAttack
from jaxrobust.training.methods import Batch, ParameterAttackTraining, Standard, task_of

SIZES = {"ECG (2 inputs, 100 steps)": (2, 4, 100), "speech (40 inputs, 98 steps)": (40, 8, 98)}
BATCH = 100


def main() -> None:
    """Measure and print one table for gradients, one for robust steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    jax.config.update("jax_enable_compilation_cache", False)
    gradients, steps = [], []
    for name, (n_in, n_out, n_steps) in SIZES.items():
        network = LSNN(n_in=n_in, n_out=n_out)
        keys = jax.random.split(jax.random.key(0), 3)
        parameters = network.init(keys[0]).parameters
        batch = Batch(
            jax.random.normal(keys[1], (BATCH, n_steps, n_in)),
            jax.random.randint(keys[2], (BATCH,), 0, n_out),
        )
        gradients += gradient_rows(name, network, parameters, batch, repeats)
        steps += robust_rows(name, network, parameters, batch, repeats)
    print(measure.machine())
    print(f"\nGradient of the task loss, batch {BATCH}, 256 units, median of {repeats}\n")
    print(
        measure.table(
            ["size", "program", "ms", "x matrix products", "compile s", "scratch MiB", "faults"], gradients
        )
    )
    print(f"\nGradient of the robust loss, 10 attack steps, median of {max(repeats // 3, 3)}\n")
    print(measure.table(["size", "program", "ms", "x ours", "compile s", "scratch MiB", "faults"], steps))


def gradient_rows(name, network, parameters, batch, repeats):
    """Ours, autodiff of the plain scan, and the recurrent matrix products that any version must do."""

    def ours(parameters):
        return task_of(network, {}, batch, 0.001).loss(parameters, jax.random.key(0))[0]

    def plain(parameters):
        return published.loss(network, parameters, batch)[0]

    programs = {
        "ours": measure.compiled(jax.value_and_grad(ours), parameters),
        "autodiff of the plain scan": measure.compiled(jax.value_and_grad(plain), parameters),
        "matrix products alone": measure.compiled(
            matrix_products, parameters["w_rec"], jnp.ones((batch.inputs.shape[1], BATCH, network.n_hidden))
        ),
    }
    timings = measure.alternating({key: program.call for key, program in programs.items()}, repeats)
    floor = timings["matrix products alone"].milliseconds
    return [
        [name, key, time.milliseconds, time.milliseconds / floor, *programs[key][:2], time.page_faults]
        for key, time in timings.items()
    ]


def matrix_products(w_rec, rows):
    """One product forward and one backward a time step, and one for all weight gradients."""

    def there(carry, row):
        return carry @ w_rec * 1e-3 + row, carry

    last, kept = jax.lax.scan(there, rows[0], rows)
    back, bars = jax.lax.scan(lambda c, row: (c @ w_rec.T * 1e-3 + row, c), last, rows, reverse=True)
    return back, jnp.einsum("tbi,tbj->ij", kept, bars)


def robust_rows(name, network, parameters, batch, repeats):
    """Ours against the published structure."""
    method = ParameterAttackTraining(Standard(), 0.25, ParameterAttack(0.1))

    def ours(parameters, key):
        return method.loss(task_of(network, {}, batch, 0.001), parameters, key)[0]

    def unrolled(parameters, key):
        return published.robust_loss(network, parameters, batch, key, beta=0.25, size=0.1, n_steps=10)

    key = jax.random.key(3)
    programs = {
        "ours": measure.compiled(jax.value_and_grad(ours), parameters, key),
        "published structure": measure.compiled(jax.value_and_grad(unrolled), parameters, key),
    }
    timings = measure.alternating(
        {key: program.call for key, program in programs.items()}, max(repeats // 3, 3)
    )
    base = timings["ours"].milliseconds
    return [
        [name, key, time.milliseconds, time.milliseconds / base, *programs[key][:2], time.page_faults]
        for key, time in timings.items()
    ]


if __name__ == "__main__":
    main()
