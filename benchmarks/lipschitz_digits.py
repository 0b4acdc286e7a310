"""Certified accuracy on the digits beside orthogonium (PyTorch): same images, batches, schedule and seeds.

The small network. Settings and numbers of ours are those of ``experiments/lipschitz/lipschitz_digits_seeds``,
whose records ship. Orthogonium's networks are trained here on the same batches in the same order, with the
same loss and rates, chosen by the same validation images, and certified by the constant of their kernels, as
ours are. AOC is its successor of BCOP; RKO divides reshaped kernels by their size as ours does. What is not
installed is left out with a line: `pip install '.[peers]'`. Takes about ten minutes on two cores.

Wanted: the mean that BCOP certifies is at least 45 % and at most 2 points below AOC's.

Command: python benchmarks/lipschitz_digits.py [--seeds=5]
"""

import argparse
import copy
import math
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import measure
import numpy as np
from orthogonium_network import Convolution, orthogonium_network

import datajuicer as dj
from jaxrobust.certificates.lipschitz import certified_radii
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.data.dataset import Dataset, Examples
from jaxrobust.figures.lipschitz.comparison import mean_and_deviation
from jaxrobust.layers.lipschitz.spectrum import convolution_norm, spectral_norm
from jaxrobust.studies.side_by_side import dataset_of
from jaxrobust.training.batches import BatchOrder

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = "lipschitz_digits_seeds"
# Ours beside the one of orthogonium whose kernels are made alike.
PEERS: Mapping[str, Convolution] = {"BCOP": "AOC", "RKO": "RKO"}
Point = Mapping[str, Any]


class Found(NamedTuple):
    """What a trained network reaches on the test images, as fractions, and its measured constant."""

    clean: float
    certified: float
    constant: float


def ours(grid: Sequence[Point]) -> dict[tuple[str, int], Found]:
    """Return the shipped numbers of the experiment by method and seed."""
    how: Any = {"cache_dir": ROOT / "sessions", "run_mode": "load", "progress": False}
    experiment: Any = load_experiments([EXPERIMENT], ROOT / "experiments")[EXPERIMENT]
    points = experiment.evaluate(dj.run(list(grid), "train", store_key="*", **how)("{*}"), **how)
    return {
        (p["parameterization"], p["seed"]): Found(*(p["robustness"][name] for name in Found._fields))
        for p in points
    }


def theirs(point: Point, dataset: Dataset) -> Found:
    """Train and certify orthogonium's network with the settings of one of our grid points."""
    import torch

    torch.set_num_threads(1)  # products are too small for more
    torch.manual_seed(point["seed"])
    shape: Any = dataset.train.inputs.shape[1:]
    convolution = PEERS[point["parameterization"]]
    network = orthogonium_network(point["layout"], shape, len(dataset.classes), convolution)
    train(network, point, dataset)
    constant = constant_of(network, shape)
    logits = logits_of(network, dataset.test)
    radii = certified_radii(logits, dataset.test.labels, constant)
    clean = np.mean(logits.argmax(axis=1) == dataset.test.labels)
    return Found(float(clean), float(np.mean(radii > point["radius"])), constant)


def train(network: Any, point: Point, dataset: Dataset) -> None:
    """Train as ``jaxrobust.train`` does and leave the parameters of the first best validation in place."""
    import torch

    n_samples, batch_size = len(dataset.train.labels), point["batch_size"]
    schedule, interval = point["schedule"], point["eval_step_interval"]
    n_steps = schedule.n_steps(n_samples, batch_size)
    rates = schedule.rates(0, n_steps, n_samples=n_samples, batch_size=batch_size)
    order = BatchOrder(point["seed"], batch_size=batch_size, n_samples=n_samples).indices(0, n_steps)
    inputs, labels = images_of(dataset.train), torch.tensor(dataset.train.labels, dtype=torch.long)
    optimizer = torch.optim.Adam(network.parameters())
    margin, best, kept = float(point["criterion"].margin), -1.0, network.state_dict()
    for step, (rows, rate) in enumerate(zip(order, rates, strict=True), start=1):
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad()
        chosen = torch.from_numpy(rows).long()
        torch.nn.functional.multi_margin_loss(
            network(inputs[chosen]), labels[chosen], margin=margin
        ).backward()
        optimizer.step()
        if step % interval == 0 or step == n_steps:
            logits = logits_of(network, dataset.validation)
            accuracy = float(np.mean(logits.argmax(axis=1) == dataset.validation.labels))
            if accuracy > best:
                best, kept = accuracy, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)


def images_of(examples: Examples) -> Any:
    """Return images as PyTorch wants them, channels first."""
    import torch

    return torch.tensor(np.ascontiguousarray(examples.inputs.transpose(0, 3, 1, 2)))


def logits_of(network: Any, examples: Examples) -> np.ndarray:
    """Return the network's logits, ``(n, classes)``."""
    import torch

    with torch.no_grad():
        return network(images_of(examples)).numpy()


def constant_of(network: Any, shape: tuple[int, int, int]) -> float:
    """Return the product of the layers' measured Lipschitz constants, in float64."""
    import torch

    constant, side = 1.0, shape[0]
    for layer in network:
        if isinstance(layer, torch.nn.PixelUnshuffle):
            side //= layer.downscale_factor
        elif isinstance(layer, torch.nn.Conv2d):
            taps = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
            constant *= convolution_norm(taps, (side, side))
        elif isinstance(layer, torch.nn.Linear):
            constant *= spectral_norm(layer.weight.detach().numpy().astype(np.float64))
    return constant


def rows_of(name: str, found: Mapping[int, Found]) -> list[list[Any]]:
    """Return a row per seed, in percent, and one with mean and population deviation."""
    rows = [
        [name, str(seed), *(f"{100 * x:.2f}" for x in one[:2]), f"{one.constant:.5f}"]
        for seed, one in found.items()
    ]
    columns = [mean_and_deviation([one[i] for one in found.values()]) for i in range(2)]
    return [*rows, [name, "all", *columns, f"{max(one.constant for one in found.values()):.5f}"]]


def verdicts(means: Mapping[str, float]) -> list[list[Any]]:
    """Return differences of mean certified accuracies in points, beside what is wanted."""
    bcop, rko = (100 * means[f"jaxrobust, {method}"] for method in PEERS)
    rows = [["BCOP", f"{bcop:.2f}", "at least 45"], ["BCOP above RKO", f"{bcop - rko:.2f}", "about 10"]]
    for method, peer in PEERS.items():
        if (other := means.get(f"orthogonium, {peer}")) is not None:
            difference = 100 * (means[f"jaxrobust, {method}"] - other)
            wanted = "at least -2" if method == "BCOP" else "to report"
            rows.append([f"{method} above orthogonium's {peer}", f"{difference:.2f}", wanted])
    if (aoc := means.get("orthogonium, AOC")) is not None:
        difference = 100 * (aoc - means["orthogonium, RKO"])
        rows.append(["orthogonium's AOC above its RKO", f"{difference:.2f}", "to report"])
    return rows


def main() -> None:
    """Train orthogonium's networks and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, default=5, help="how many of the experiment's seeds, from the first"
    )
    n_seeds = parser.parse_args().seeds
    experiment = load_experiments([EXPERIMENT], ROOT / "experiments")[EXPERIMENT]
    grid = [point for point in experiment.train_grid() if point["seed"] < n_seeds]
    groups: dict[str, dict[int, Found]] = {}
    for (method, seed), found in ours(grid).items():
        groups.setdefault(f"jaxrobust, {method}", {})[seed] = found
    dataset = dataset_of(grid[0])
    try:
        for point in grid:
            found = theirs(point, dataset)
            name = f"orthogonium, {PEERS[point['parameterization']]}"
            groups.setdefault(name, {})[point["seed"]] = found
            print(f"{name}, seed {point['seed']}: {100 * found.certified:.2f} certified", file=sys.stderr)
        title = f"orthogonium {version('orthogonium')}"
    except ImportError as error:
        title = "our own numbers alone"
        print(f"orthogonium: left out, {error}\n")
    measure.heading(f"Digits certified at L2 radius {grid[0]['radius']:g}, {title}")
    rows = [row for name, found in groups.items() for row in rows_of(name, found)]
    print(measure.table(["network", "seed", "clean %", "certified %", "largest constant"], rows))
    means = {
        name: math.fsum(one.certified for one in each.values()) / len(each) for name, each in groups.items()
    }
    print(f"\n{measure.table(['points of certified accuracy', 'found', 'wanted'], verdicts(means))}")


if __name__ == "__main__":
    main()
