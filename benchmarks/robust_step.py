"""Gradient of the LSNN's robust loss, 10 attack steps, against the published structure.

Command: python benchmarks/robust_step.py [--repeats=5]
"""

import jax
import measure
import published_structure as published
from lsnn_sizes import BATCH, SIZES, example

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.training.methods import FiringRates, Objective, ParameterAttackTraining, Standard


def ours(size: str) -> dict[str, measure.Program]:
    """Our step, and the plain gradient of which it takes twelve."""
    network, parameters, batch, key = example(size)
    method = FiringRates(ParameterAttackTraining(Standard(), 0.25, ParameterAttack(0.1)), 0.001)
    objective = Objective(network, {}, batch)

    def robust(parameters, key):
        return method.loss(objective, parameters, key)[0]

    def plain(parameters, key):
        return FiringRates(Standard(), 0.001).loss(objective, parameters, key)[0]

    return {
        "ours": measure.compiled(jax.value_and_grad(robust), parameters, key),
        "plain gradient": measure.compiled(jax.value_and_grad(plain), parameters, key),
    }


def unrolled(size: str) -> dict[str, measure.Program]:
    """The published structure."""
    network, parameters, batch, key = example(size)

    def robust(parameters, key):
        return published.robust_loss(network, parameters, batch, key, beta=0.25, size=0.1, n_steps=10)

    return {"published structure": measure.compiled(jax.value_and_grad(robust), parameters, key)}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 5)
    rows = []
    for size in SIZES:
        groups = {
            f"{name}, {memory}": measure.Group(build, [size], keeps)
            for memory, keeps in (("kept", True), ("returned", False))
            for name, build in (("ours", ours), ("published", unrolled))
        }
        figures = measure.alternating(groups, repeats)
        base = figures["ours, kept", "ours"]
        for (group, name), (ms, processor, faults, first, scratch) in figures.items():
            ratios = [ms / base.milliseconds, first / base.first_call_seconds]
            rows.append(
                [
                    size,
                    name,
                    group.split(", ")[1],
                    ms,
                    processor,
                    ratios[0],
                    first,
                    ratios[1],
                    scratch,
                    faults,
                ]
            )
    measure.heading(f"Gradient of the robust loss, batch {BATCH}, 256 units, median of {repeats}")
    columns = [
        "size",
        "program",
        "freed memory",
        "ms",
        "processor ms",
        "x ours with memory kept",
        "first call s",
        "x ours",
    ]
    print(measure.table([*columns, "scratch MiB", "page faults"], rows))


if __name__ == "__main__":
    main()
