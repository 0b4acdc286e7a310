"""The published grid of experiments: 635,120 points in 52 families, written as our own grids.

Every point is a plain dict of what distinguishes it. What can influence the weights makes up its training
(``training_of``): noise of the evaluation does not, and multiplicative noise of level 0 in training is none.
The full grid takes 51 million epochs, so it is a plan to choose from, not something to run.

Three things are not known of the published files, and are chosen such that all published numbers hold: the
twenty ratios of the ``MAX`` family between 0.001 and 0.99999 (nine are among those of the layer-5 family, as
the number of trainings needs); thirty more points of noise everywhere in the file of LeNet-5 for
Fashion-MNIST (no noise, switched on in evaluation only or in training too: other points, but no other
trainings, as the number of distinct points needs); and the eightieth plan of each network of the repetition
family, here one without repetition.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np

from jaxrobust.measures.executions import SCALINGS

Point = dict[str, Any]
Levels = list[float]
# Positions without and with noise behind batch normalization.
SHAPES = {"mlp": (8, 11), "lenet5": (12, 16), "cnn_s": (8, 11)}
EPOCHS = {
    ("mnist", "lenet5"): 50,
    ("mnist", "mlp"): 100,
    ("cifar10", "lenet5"): 300,
    ("cifar10", "mlp"): 200,
    ("fashion_mnist", "lenet5"): 200,
    ("fashion_mnist", "mlp"): 250,
    ("svhn", "lenet5"): 200,
    ("svhn", "mlp"): 300,
    ("keywords", "cnn_s"): 150,
    ("keywords", "mlp"): 150,
}
NORMS = ("none", "bn", "bn, no noise behind")
RATIOS = (0.01, 0.1, 0.5, 0.9, 0.99)
MAX_RATIOS = (
    *(0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999),
    *(0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.6, 0.65, 0.7, 0.75, 0.8),
)
FINE_RATIOS = (*(10.0**-k for k in range(17, 0, -1)), 0.5, *(1 - 10.0**-k for k in range(1, 18)))
BUDGETS = (2, 3, 5, 7, 10, 20)


def _logs(first: float, last: float, n: int) -> Levels:
    return np.logspace(first, last, n).tolist()


def _lines(last: float) -> Levels:
    return np.linspace(0, last, round(10 * last) + 1).tolist()


def _noise(kind: str, level: float, ratio: float | None = None) -> Point:
    return {"kind": kind, "level": level, "ratio": ratio}


def _noises(adds: Levels, muls: list[Levels], combined: Levels) -> list[Point]:
    """Noise of one place: additive (free and clamped), multiplicative on some scales, combined."""
    free = [_noise("additive", level) for level in adds]
    clamped = [{**noise, "clamp": 1.0} for noise in free]
    factors = [_noise("multiplicative", level) for levels in muls for level in levels]
    mixed = [_noise("multiply_then_add", level, ratio) for level in combined for ratio in RATIOS]
    return [*free, *clamped, *factors, *mixed]


def _base(dataset: str, network: str, norm: str, repeat: int) -> Point:
    epochs = EPOCHS[dataset, network]
    return {"dataset": dataset, "network": network, "norm": norm, "epochs": epochs, "repeat": repeat}


def no_noise(dataset: str, network: str, repeats: int, clamps: tuple[float | None, ...]) -> Iterator[Point]:
    """Trained and evaluated without noise, free and clamped."""
    for repeat, norm, clamp in product(range(repeats), NORMS, clamps):
        yield _base(dataset, network, norm, repeat) | ({"clamp": clamp} if clamp else {})


def switched(dataset: str, network: str, repeats: int) -> Iterator[Point]:
    """No noise, switched on in evaluation only or in training too."""
    for repeat, norm, switch in product(range(repeats), NORMS, ("evaluation", "training")):
        yield _base(dataset, network, norm, repeat) | {"switched_on": switch}


def everywhere(dataset: str, network: str, repeats: int, widest: float, combined: bool) -> Iterator[Point]:
    """One noise at all positions, in training too or in evaluation only."""
    adds = _logs(-2, 2, 17)
    noises = _noises(adds, [_lines(widest)], adds if combined else [])
    for repeat, norm, trained, noise in product(range(repeats), NORMS, (False, True), noises):
        yield _base(dataset, network, norm, repeat) | {"place": "all", "in_training": trained} | noise


def layer_by_layer(
    dataset: str, network: str, normalize: bool, repeats: int, combined: bool
) -> Iterator[Point]:
    """Noise at one position after the other."""
    is_mnist = dataset == "mnist"
    adds = _logs(-2, 8, 41) if is_mnist else _logs(-2, 10, 49)
    muls = [_lines(6 if is_mnist else 2), _logs(0, 16, 65) if is_mnist else _logs(0, 10, 41)]
    noises = _noises(adds, muls, _logs(-2, 10, 25) if combined else [])
    norm, positions = NORMS[normalize], range(SHAPES[network][normalize])
    for repeat, place, trained, noise in product(range(repeats), positions, (False, True), noises):
        yield _base(dataset, network, norm, repeat) | {"place": place, "in_training": trained} | noise


def maximum(dataset: str, network: str) -> Iterator[Point]:
    """Noise of 1e10 at one position, in training too, of networks with batch normalization."""
    orders = ("multiply_then_add", "add_then_multiply")
    noises = [_noise(kind, 1e10) for kind in ("additive", "multiplicative")]
    noises += [_noise(order, 1e10, ratio) for order in orders for ratio in MAX_RATIOS]
    for repeat, place, noise in product(range(6), range(SHAPES[network][1]), noises):
        yield _base(dataset, network, "bn", repeat) | {"place": place, "in_training": True} | noise


def mixed_map(clamp: float | None) -> Iterator[Point]:
    """Position 5 (conv2) of LeNet-5 on CIFAR-10: amplitude and ratio, and a zoom of both levels.

    The published zoom of the clamped family is not clamped.
    """
    orders = ("multiply_then_add", "add_then_multiply")
    base = {"place": 5, "in_training": True}
    for repeat, order in product(range(5), orders):
        network = _base("cifar10", "lenet5", "bn", repeat) | base
        for level, ratio in product(_logs(-4, 13, 35), FINE_RATIOS):
            yield network | _noise(order, level, ratio) | ({"clamp": clamp} if clamp else {})
        for factor, added in product(np.linspace(0.1, 2.5, 25).tolist(), repeat=2):
            yield network | {"kind": f"{order}, direct", "level": factor, "added": added}


def repetition(dataset: str, network: str, repeats: int) -> Iterator[Point]:
    """Noise everywhere in evaluation only, at one level, averaged over executions."""
    plans: list[Any] = [None, *(("global", n) for n in (1, 2, 3, 5, 7, 10, 20)), *product(SCALINGS, BUDGETS)]
    for norm, repeat, plan in product(("none", "bn"), range(repeats), plans):
        noise = {"place": "all", "in_training": False, "kind": "additive", "level": "midpoint"}
        yield _base(dataset, network, norm, repeat) | noise | {"plan": plan}


# Repeats of what is swept everywhere and layer by layer, and of points without noise that the published files
# of noise everywhere list once more.
REPEATS = {
    ("mnist", "lenet5"): (10, 5, 10),
    ("mnist", "mlp"): (10, 5, 10),
    ("cifar10", "lenet5"): (10, 5, 10),
    ("cifar10", "mlp"): (5, 3, 5),
    ("fashion_mnist", "lenet5"): (5, 3, 0),
    ("fashion_mnist", "mlp"): (5, 3, 0),
    ("svhn", "lenet5"): (5, 3, 0),
    ("svhn", "mlp"): (5, 3, 0),
    ("keywords", "cnn_s"): (3, 3, 0),
    ("keywords", "mlp"): (3, 3, 3),
}


def families() -> Iterator[tuple[str, Iterator[Point]]]:
    """Name and points of all 52 families."""
    for (dataset, network), (n_everywhere, n_layer, n_again) in REPEATS.items():
        name, is_small = f"{dataset} {network}", dataset in ("fashion_mnist", "svhn")
        is_wide = dataset == "keywords" or (network == "mlp" and dataset != "mnist")
        yield f"{name} no noise", no_noise(dataset, network, 6 if is_small else 10, (None, 1.0))
        swept = everywhere(dataset, network, n_everywhere, 3 if is_wide else 2, not is_small)
        again = no_noise(dataset, network, n_again, (None,))
        silent = switched(dataset, network, 5 if (dataset, network) == ("fashion_mnist", "lenet5") else 0)
        yield f"{name} everywhere", chain(swept, again, silent)
        for normalize in (False, True):
            points = layer_by_layer(dataset, network, normalize, n_layer, not is_small)
            yield f"{name} {NORMS[normalize]} layer by layer", points
        if not is_small:
            yield f"{name} maximum", maximum(dataset, network)
    yield "cifar10 lenet5 layer 5", mixed_map(None)
    yield "cifar10 lenet5 layer 5, clamped", mixed_map(1.0)
    for dataset, network in product(("mnist", "cifar10"), ("lenet5", "mlp")):
        n_repeats = 400 if (dataset, network) == ("mnist", "lenet5") else 100
        yield f"{dataset} {network} repetition", repetition(dataset, network, n_repeats)


def training_of(point: Point) -> tuple[Any, ...]:
    """Everything of a point that can influence its weights."""
    trains = tuple(point[name] for name in ("dataset", "network", "norm", "epochs", "repeat"))
    is_silent = point.get("kind") == "multiplicative" and point["level"] == 0
    noise: tuple[Any, ...] = ()
    if point.get("in_training") and not is_silent:
        noise = tuple(point.get(name) for name in ("place", "kind", "level", "ratio", "added"))
    return (*trains, point.get("clamp"), *noise)


class GridCost(NamedTuple):
    """What points need.

    Attributes:
        n_points: Points, each of which is one evaluation.
        n_trainings: Distinct trainings.
        n_epochs: Epochs of these.
    """

    n_points: int
    n_trainings: int
    n_epochs: int


def cost_of(points: Iterable[Point]) -> GridCost:
    """Count the points, the distinct trainings that they need, and the epochs of these.

    Example:
        >>> print(cost_of(no_noise("svhn", "mlp", 6, (None, 1.0))))
        GridCost(n_points=36, n_trainings=36, n_epochs=10800)
    """
    n_points, epochs = 0, {}
    for point in points:
        n_points += 1
        epochs[training_of(point)] = point["epochs"]
    return GridCost(n_points, len(epochs), sum(epochs.values()))
