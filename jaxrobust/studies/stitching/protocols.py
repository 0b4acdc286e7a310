"""Protocols of the stitching study: donors, pairs of them, cuts, stitch trainings and attacks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import datajuicer as dj
from jaxrobust import data
from jaxrobust.attacks.input_attack import InputAttack, apgd, fgsm, pgd
from jaxrobust.networks.conv_stack import StridedCNN
from jaxrobust.networks.cuts import cut_positions
from jaxrobust.networks.residual import CifarResNet
from jaxrobust.stitching.stitched import Cut
from jaxrobust.studies.stitching.evaluations import attacked_accuracy, stitch_kernel, stitch_similarity
from jaxrobust.studies.stitching.points import match_point, stitch_point
from jaxrobust.studies.training_points import network_of, training_point
from jaxrobust.training.augmentation import augmentation_named
from jaxrobust.training.methods import AttackedSamples, Method, Standard, Trades
from jaxrobust.training.optimizers.sgd import SGD
from jaxrobust.training.schedule import Phases

Point = dict[str, Any]

# Adversarial training on MNIST in the two-core protocol, and what everything is evaluated with.
MNIST_ATTACK = pgd(0.1, n_steps=5, step=0.025, keep="last")
MNIST_EVALUATION = (pgd(0.1, n_steps=10, step=0.025),)
# Published: 10 steps from the clean image; an ensemble of APGD on two losses, here per sample.
CIFAR10_ATTACK = pgd(8 / 255, n_steps=10, step=2 / 255, start="clean", keep="last")
CIFAR10_EVALUATION = (
    fgsm(8 / 255),
    apgd(8 / 255, n_steps=20),
    apgd(8 / 255, n_steps=20, loss="dlr"),
)
# Front and end of each pair, by the names of donors.
PAIRS = (("N", "N'"), ("N", "R"), ("R", "N"))
# The calibration took 128 samples per step; 64 is what two cores do in a quarter of an hour.
MNIST_SAMPLES, BATCH = 54_000, 64


def steps_of(*phases: tuple[int, float]) -> Phases:
    """Return a schedule on MNIST in numbers of steps and learning rates."""
    return Phases(tuple(n * BATCH / MNIST_SAMPLES for n, _ in phases), tuple(rate for _, rate in phases))


def mnist_donors(seed: int = 0) -> list[Point]:
    """Two networks trained on clean images, which differ in their seed, and one trained on attacked ones."""
    clean = training_point(
        StridedCNN(),
        "mnist",
        schedule=steps_of((450, 3e-3), (150, 1e-3)),
        batch_size=BATCH,
        eval_step_interval=300,
        keep="last",
        seed=2 * seed,
    )
    robust = {
        **clean,
        "method": AttackedSamples(Standard(), MNIST_ATTACK, share=0.8),
        "schedule": steps_of((550, 3e-3), (150, 1e-3)),
    }
    named = {"N": clean, "N'": {**clean, "seed": 2 * seed + 1}, "R": robust}
    return [{**point, "donor": name, "repeat": seed} for name, point in named.items()]


def mnist_stitches(
    points: Sequence[Mapping[str, Any]],
    method: Method = Standard(),  # noqa: B008 - frozen
    n_steps: int = 600,
) -> list[Point]:
    """Trained stitches of all pairs of donors after every activation."""
    schedule = steps_of((5 * n_steps // 6, 1e-2), (n_steps // 6, 1e-3))
    return [
        {**stitch_point(front, end, cut, method=method, schedule=schedule, batch_size=BATCH), **named}
        for front, end, cut, named in pairs_of(points)
    ]


def mnist_matches(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Closed-form stitches of the same pairs and cuts."""
    return [{**match_point(front, end, cut), **named} for front, end, cut, named in pairs_of(points)]


def pairs_of(
    points: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]] = PAIRS
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Cut, Point]]:
    """Yield front, end, cut and names for every pair of donors of one repeat and every activation."""
    for repeat in sorted({point["repeat"] for point in points}):
        donors = {point["donor"]: point for point in points if point["repeat"] == repeat}
        for front, end in pairs:
            for cut in activation_cuts(donors[front]):
                names = {"pair": f"{front}→{end}", "repeat": repeat}
                yield donors[front], donors[end], cut, names


def activation_cuts(point: Mapping[str, Any]) -> list[Cut]:
    """Return cuts at the activations that everything passes through, such as ``relu3`` of a chain."""
    network = network_of(point, data.blank(point["dataset"], split=point["split"] or None))
    names = [name for name in cut_positions(network) if name.rpartition("/")[2].startswith("relu")]
    return [Cut.at(name) for name in names]


def cifar10_donors(seed: int = 0, attack: InputAttack = CIFAR10_ATTACK) -> list[Point]:
    """ResNet-18 on CIFAR-10 as published: two clean ones, Madry, and TRADES, 300 epochs of SGD each."""
    clean = training_point(
        CifarResNet(18),
        "cifar10",
        schedule=Phases((100.0, 100.0, 100.0), (0.1, 0.01, 0.001)),
        optimizer=SGD(0.9, nesterov=True, weight_decay=1e-4),
        batch_size=128,
        augmentation=augmentation_named("crop_flip", 4),
        keep="last",
        seed=2 * seed,
    )
    trades = Trades(Standard(), 6.0, replace(attack, start="uniform"))
    named = {
        "N": clean,
        "N'": {**clean, "seed": 2 * seed + 1},
        "R": {**clean, "method": AttackedSamples(Standard(), attack)},
        "R'": {**clean, "method": trades, "seed": 2 * seed + 1},
    }
    return [{**point, "donor": name, "repeat": seed} for name, point in named.items()]


def cifar10_stitches(
    points: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]] = PAIRS
) -> list[Point]:
    """Stitches after every block, trained for 30 epochs as published and in closed form."""
    made: list[Point] = []
    for front, end, cut, named in pairs_of(points, pairs):
        if cut.front.startswith("layer"):
            made.append({**stitch_point(front, end, cut), **named})
            made.append({**match_point(front, end, cut), **named})
    return made


def evaluate(
    grid: Sequence[Point], attacks: tuple[InputAttack, ...], n_samples: int, **how: Any
) -> list[Point]:
    """Evaluate ``accuracy`` of donors and stitches, ``similarity`` and ``kernel`` of stitches."""
    points = dj.run(list(grid), attacked_accuracy, store_key="accuracy", **how)(
        "{*}", attacks, n_samples=n_samples
    )
    stitches = [point for point in points if "cut" in point]
    others = [point for point in points if "cut" not in point]
    if not stitches:
        return others
    alike = dj.run(stitches, stitch_similarity, store_key="similarity", **how)("{*}", n_samples=n_samples)
    return [*others, *dj.run(alike, stitch_kernel, store_key="kernel", **how)("{*}")]
