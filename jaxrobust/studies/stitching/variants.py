"""Variants of the two-core protocol: controls, other tasks, low rank, transferred attacks, mismatch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datajuicer as dj
from jaxrobust import data
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.networks.cuts import shape_at
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.stitching.controls import ShuffledLabels
from jaxrobust.stitching.layers import LowRank, Pointwise
from jaxrobust.stitching.stitched import Cut
from jaxrobust.stitching.transferred import Source, TransferredAttacks
from jaxrobust.studies.stitching.evaluations import low_rank_accuracy, stitch_mismatch
from jaxrobust.studies.stitching.points import match_point, stitch_point
from jaxrobust.studies.stitching.protocols import (
    BATCH,
    MNIST_ATTACK,
    Point,
    mnist_donors,
    pairs_of,
    steps_of,
)
from jaxrobust.studies.training_points import network_of
from jaxrobust.training.methods import Method, ParameterAttackTraining, Standard
from jaxrobust.training.schedule import Steps

# Donors by name.
UNTRAINED, OF_PARAMETERS = "0", "P"
OTHER_TASK = "fashion_mnist"
RANKS = (1, 2, 4, 8, 16)
LOW_RANK_PAIRS, LOW_RANK_CUTS = (("N", "R"), ("R", "N")), ("relu2", "relu5")
# The first study's method: the attack moves every parameter by up to 10 % in ten steps.
PARAMETER_TRAINING = ParameterAttackTraining(
    Standard(), beta=0.25, attack=ParameterAttack(relative_size=0.1, n_steps=10)
)
MISMATCH_LEVELS = (0.0, 0.1, 0.2, 0.3)
PARAMETER_PAIRS = (("N", "N'"), ("N", "P"), ("P", "N"))


def trained_stitch(
    front: Mapping[str, Any],
    end: Mapping[str, Any],
    cut: Cut,
    method: Method = Standard(),  # noqa: B008 - frozen
    n_steps: int = 600,
    layer: Pointwise | LowRank = Pointwise(),  # noqa: B008
) -> Point:
    """A stitch trained as in the two-core protocol."""
    schedule = steps_of((5 * n_steps // 6, 1e-2), (n_steps // 6, 1e-3))
    return stitch_point(front, end, cut, layer=layer, method=method, schedule=schedule, batch_size=BATCH)


def control_donors(seed: int = 0) -> list[Point]:
    """Two clean networks and one that was never trained (one step with the rate 0)."""
    donors = mnist_donors(seed)[:2]
    untrained = {**donors[0], "schedule": Steps(1, 0.0), "seed": 100 + seed, "donor": UNTRAINED}
    return [*donors, untrained]


def control_stitches(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """A network with itself, an untrained front, and a layer trained on shuffled labels."""
    shuffled = ShuffledLabels(Standard())
    made: list[Point] = []
    for front, end, cut, named in pairs_of(points, (("N", "N"),)):
        made += [{**match_point(front, end, cut), **named}, {**trained_stitch(front, end, cut), **named}]
    for front, end, cut, named in pairs_of(points, ((UNTRAINED, "N"),)):
        made += [{**trained_stitch(front, end, cut), **named}, {**match_point(front, end, cut), **named}]
    for front, end, cut, named in pairs_of(points, (("N", "N'"),)):
        made.append({**trained_stitch(front, end, cut, shuffled), **named})
    return made


def task_donors(seed: int = 0) -> list[Point]:
    """Clean and robust networks of MNIST (M, RM) and Fashion-MNIST (F, RF)."""
    clean, _, robust = mnist_donors(seed)
    named = {"M": (clean, "mnist"), "F": (clean, OTHER_TASK)}
    named |= {"RM": (robust, "mnist"), "RF": (robust, OTHER_TASK)}
    return [
        {**point, "dataset": dataset, "donor": name, "repeat": seed}
        for name, (point, dataset) in named.items()
    ]


def task_stitches(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Both directions with a clean and a robust front, trained on the front's task."""
    pairs = (("M", "F"), ("F", "M"), ("RM", "F"), ("RF", "M"))
    return [
        {**trained_stitch(front, end, cut), **named, "other_task": end["dataset"]}
        for front, end, cut, named in pairs_of(points, pairs)
    ]


def low_rank_stitches(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Layers of every rank below the full one, and the full one."""
    made: list[Point] = []
    for front, end, cut, named in pairs_of(points, LOW_RANK_PAIRS):
        if cut.front not in LOW_RANK_CUTS:
            continue
        ranks = tuple(rank for rank in RANKS if rank < _channels(front, cut))
        made.append({**trained_stitch(front, end, cut), **named, "rank": 0, "ranks": ranks})
        for rank in ranks:
            layer = LowRank(rank)
            made.append({**trained_stitch(front, end, cut, layer=layer), **named, "rank": rank})
    return made


def _channels(point: Mapping[str, Any], cut: Cut) -> int:
    network = network_of(point, data.blank(point["dataset"], split=point["split"] or None))
    return shape_at(network, cut.front)[-1] or 0


def evaluate_truncated(grid: Sequence[Point], attacks: Any, n_samples: int, **how: Any) -> list[Point]:
    """Add ``truncated`` to full-rank stitches: accuracies with the largest singular values alone."""
    full = [point for point in grid if "ranks" in point]
    others = [point for point in grid if "ranks" not in point]
    done = dj.run(full, low_rank_accuracy, store_key="truncated", **how)(
        "{*}", "{ranks}", attacks, n_samples=n_samples
    )
    return [*others, *done]


def transfer_methods(robust: Sequence[Source]) -> Iterator[tuple[str, Method]]:
    """The four published ways to train on the donors' attacked inputs, by name.

    Args:
        robust: Which donors are robust; the union attacks these, and takes clean inputs too unless both are.
    """
    attack = MNIST_ATTACK
    ways: dict[str, tuple[Source, ...]] = {"front": ("front",), "end": ("end",), "both": ("front", "end")}
    for name, sources in ways.items():
        yield name, TransferredAttacks(Standard(), attack, sources)
    yield "union", TransferredAttacks(Standard(), attack, tuple(robust), with_clean=len(robust) < 2)


def transfer_stitches(points: Sequence[Mapping[str, Any]], n_steps: int = 150) -> list[Point]:
    """N with R in both directions, after every activation, by the four methods."""
    made: list[Point] = []
    for front, end, cut, named in pairs_of(points, (("N", "R"), ("R", "N"))):
        robust: list[Source] = ["front"] if front["donor"] == "R" else ["end"]
        for name, method in transfer_methods(robust):
            stitch = trained_stitch(front, end, cut, method, n_steps)
            made.append({**stitch, **named, "attacked": name})
    return made


def parameter_donors(seed: int = 0) -> list[Point]:
    """Two standard networks and one trained by the first study's attack on parameters."""
    donors = mnist_donors(seed)[:2]
    return [*donors, {**donors[0], "method": PARAMETER_TRAINING, "donor": OF_PARAMETERS}]


def parameter_stitches(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Stitches of standard networks with each other and with the robust one, trained and in closed form."""
    return [
        {**make(front, end, cut), **named}
        for front, end, cut, named in pairs_of(points, PARAMETER_PAIRS)
        for make in (trained_stitch, match_point)
    ]


def evaluate_mismatch(grid: Sequence[Point], n_draws: int, n_samples: int, **how: Any) -> list[Point]:
    """Add ``mismatch`` to donors and stitches: accuracies of devices by level of ``MISMATCH_LEVELS``."""
    points = [{**point, "mismatch": {}} for point in grid]
    for level in MISMATCH_LEVELS:
        done = dj.run(list(grid), stitch_mismatch, store_key="devices", **how)(
            "{*}", GaussianMismatch(level), n_draws=n_draws if level else 1, n_samples=n_samples
        )
        points = [
            {**point, "mismatch": {**point["mismatch"], level: found["devices"]}}
            for point, found in zip(points, done, strict=True)
        ]
    return points
