"""100 devices with mismatch on the full ECG test set (1340 heartbeats), against 100 bare forward passes.

A bare forward pass is the jitted network on the whole test set, called in a Python loop with the same
parameters each time. The evaluation also draws the devices and counts the hits; ``batch_size`` bounds its
memory. Random data.

Command: python benchmarks/mismatch_draws.py [--repeats=3]
"""

import jax
import jax.numpy as jnp
import measure

from jaxrobust.measures.mismatch import mismatch_accuracies
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.studies.evaluations.trained import BATCH_SIZE

N_DRAWS, N_SAMPLES = 100, 1340
NETWORK = LSNN(n_in=2, n_out=4)


def programs() -> dict[str, measure.Program]:
    """The evaluation at several sizes of a batch, and bare forward passes."""
    key = jax.random.key(0)
    parameters = NETWORK.init(key).parameters
    inputs = jax.random.normal(key, (N_SAMPLES, 100, 2))
    labels = jnp.zeros(N_SAMPLES, jnp.int32)

    def apply(parameters, inputs):
        return NETWORK.forward(parameters, {}, inputs).logits

    def devices(batch_size):
        return lambda p, x, y, k: mismatch_accuracies(
            apply, p, x, y, k, level=0.3, n_draws=N_DRAWS, batch_size=batch_size
        )

    one = measure.compiled(apply, parameters, inputs)

    def bare():
        for _ in range(N_DRAWS):
            one.call()

    return {
        "100 bare forward passes": one._replace(call=bare),
        **{
            f"100 devices, {size} samples at once": measure.compiled(
                devices(size), parameters, inputs, labels, key
            )
            for size in (100, BATCH_SIZE, N_SAMPLES)
        },
    }


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    figures = measure.alternating({"kept": measure.Group(programs)}, repeats)
    rows = []
    for (_, name), (ms, processor, faults, _, scratch) in figures.items():
        floor = figures["kept", "100 bare forward passes"].milliseconds
        rows.append([name, ms, processor, ms / floor, scratch, faults])
    measure.heading(f"Mismatch draws on {N_SAMPLES} heartbeats, median of {repeats}")
    columns = ["program", "ms", "processor ms", "x bare", "scratch MiB", "page faults"]
    print(measure.table(columns, rows))


if __name__ == "__main__":
    main()
