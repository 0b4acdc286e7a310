"""Expanding the published grid of walking noise: time and memory per point, beside seml's expander.

One family as a file of seml would hold it (LeNet-5 with batch normalization on CIFAR-10, layer by layer,
45,600 points), expanded by us and by seml, where that is installed; and all 52 families, 635,120 points, as
our own grid writes them. Memory is what the process grew by during the first call, with all points held.

Command: python benchmarks/walking_grid.py [--repeats=3]
"""

import math
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import measure

from datajuicer.grids.seml import expand
from jaxrobust.studies.walking_noise.published_grid import families


def _levels(kind: str, first: float, last: float, n: int) -> dict[str, Any]:
    return {"type": kind, "min": first, "max": last, "num": n}


def _noise(kind: str, clamp: dict[str, float] | None = None, **swept: dict[str, Any]) -> dict[str, Any]:
    fixed = {"noise.layer_wise.noise_type": kind} | ({"general.weight_clamping": clamp} if clamp else {})
    return {"fixed": fixed, "grid": {f"noise.layer_wise.{name}": levels for name, levels in swept.items()}}


FAMILY = {
    "fixed": {
        "general": {"num_epochs": 300, "experiment_name": "layer by layer"},
        "optimizer": {"optimizer_type": "Adam", "lr_scheduler": "CosineAnnealing", "lr": 1e-3},
        "data": {"dataset": "CIFAR10", "batch_size": 128},
        "model": {"model_class": "LeNet", "criterion": "CrossEntropyLoss", "LeNet.conf_name": "LeNet5-BN"},
        "noise.default.noise_type": "NoNoise",
    },
    "grid": {
        "general.repeat_number": {"type": "range", "min": 0, "max": 5, "step": 1},
        "noise.layer_wise.layer_index": {"type": "range", "min": 0, "max": 16, "step": 1},
        "noise.layer_wise.enable_in_training": {"type": "choice", "options": [0, 1]},
    },
    "added": _noise("GaussAdd", GaussStd=_levels("loguniform", 1e-2, 1e10, 49)),
    "clamped": _noise("GaussAdd", {"min": -1.0, "max": 1.0}, GaussStd=_levels("loguniform", 1e-2, 1e10, 49)),
    "multiplied": _noise("GaussMul", GaussStd=_levels("uniform", 0.0, 2.0, 21)),
    "multiplied_more": _noise("GaussMul", GaussStd=_levels("loguniform", 1.0, 1e10, 41)),
    "combined": _noise(
        "GaussCombined",
        StdAmplitude=_levels("loguniform", 1e-2, 1e10, 25),
        StdRatio={"type": "choice", "options": [0.01, 0.1, 0.5, 0.9, 0.99]},
    ),
}
N_FAMILY, N_ALL = 45_600, 635_120


def _program(make: Callable[[], Sequence[Any]], n: int) -> measure.Program:
    """A program that makes ``n`` points, with what the process grew by when it did so first, in MiB."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    points = make()
    seconds = time.perf_counter() - began
    assert len(points) == n, f"{len(points)} points in place of {n}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return measure.Program(seconds, grown, make)


def ours() -> dict[str, measure.Program]:
    """The family, read as a file of seml."""
    return {"one family, as seml's": _program(lambda: expand(FAMILY), N_FAMILY)}


def our_grid() -> dict[str, measure.Program]:
    """All families, as our own grid."""
    return {"52 families": _program(lambda: [p for _, family in families() for p in family], N_ALL)}


def semls() -> dict[str, measure.Program]:
    """The family, by seml itself."""
    from seml.experiment.config import generate_configs  # pyright: ignore[reportMissingImports]

    return {"one family, as seml's": _program(lambda: generate_configs(FAMILY), N_FAMILY)}


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    groups = {
        "ours": measure.Group(ours),
        "our own grid": measure.Group(our_grid),
        "seml": measure.Group(semls),
    }
    figures = measure.alternating(groups, repeats)

    def per_point(group: str, name: str) -> float:
        n = N_ALL if name == "52 families" else N_FAMILY
        found = figures.get((group, name))
        return 1e3 * found.processor_milliseconds / n if found else math.nan

    theirs = per_point("seml", "one family, as seml's")
    rows = [
        [f"{group}: {name}", per_point(group, name), per_point(group, name) / theirs, found.scratch_mib]
        for (group, name), found in figures.items()
    ]
    measure.heading(f"Expanding the published grid, median of {repeats}")
    print(measure.table(["program", "processor µs per point", "x seml", "MiB"], rows))


if __name__ == "__main__":
    main()
