"""Gradient of the LSNN's task loss, against automatic differentiation and bare matrix products.

Command: python benchmarks/lsnn_gradient.py [--repeats=15]
"""

import jax
import jax.numpy as jnp
import measure
import published_structure as published
from lsnn_sizes import BATCH, SIZES, example

from jaxrobust.training.methods import FiringRates, Objective, Standard


def programs(size: str) -> dict[str, measure.Program]:
    """Ours, autodiff of the plain scan, and the recurrent matrix products that any version must do."""
    network, parameters, batch, key = example(size)
    method = FiringRates(Standard(), 0.001)
    objective = Objective(network, {}, batch)

    def ours(parameters):
        return method.loss(objective, parameters, key)[0]

    def plain(parameters):
        return published.loss(network, parameters, batch)[0]

    rows = jnp.ones((batch.inputs.shape[1], BATCH, network.n_hidden))
    return {
        "ours": measure.compiled(jax.value_and_grad(ours), parameters),
        "autodiff of the plain scan": measure.compiled(jax.value_and_grad(plain), parameters),
        "matrix products alone": measure.compiled(matrix_products, parameters["w_rec"], rows),
    }


def matrix_products(w_rec, rows):
    """One product forward and one backward a time step, and one for all weight gradients."""

    def there(carry, row):
        return carry @ w_rec * 1e-3 + row, carry

    last, kept = jax.lax.scan(there, rows[0], rows)
    back, bars = jax.lax.scan(lambda c, row: (c @ w_rec.T * 1e-3 + row, c), last, rows, reverse=True)
    return back, jnp.einsum("tbi,tbj->ij", kept, bars)


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 15)
    rows = []
    for size in SIZES:
        groups = {
            "kept": measure.Group(programs, [size]),
            "returned": measure.Group(programs, [size], keeps_memory=False),
        }
        figures = measure.alternating(groups, repeats)
        ours = figures["kept", "ours"].milliseconds
        for (memory, name), (ms, processor, faults, first, scratch) in figures.items():
            floor = figures[memory, "matrix products alone"].milliseconds
            rows.append([size, name, memory, ms, processor, ms / ours, ms / floor, first, scratch, faults])
    measure.heading(f"Gradient of the task loss, batch {BATCH}, 256 units, median of {repeats}")
    columns = ["size", "program", "freed memory", "ms", "processor ms", "x ours with memory kept"]
    print(measure.table([*columns, "x matrix products", "first call s", "scratch MiB", "page faults"], rows))


if __name__ == "__main__":
    main()
