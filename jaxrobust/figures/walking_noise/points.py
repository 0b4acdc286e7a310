"""Evaluated points sorted by network and sweep, and the midpoints of their curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxrobust.measures.midpoint import Midpoint, fit_midpoint

Points = Sequence[Mapping[str, Any]]
EVERYWHERE = "all"
CHANCE = 0.1  # all data that are drawn have ten classes
NAMES = {"mlp": "MLP", "lenet5": "LeNet-5", "vgg11": "VGG11", "resnet18": "ResNet-18"}


def name_of(network: Any) -> str:
    """A network in words."""
    kind = NAMES.get(network.kind, str(network.kind).upper())
    return f"{kind}, batch normalization" if network.normalize else kind


def curves_of(points: Points, kind: str, place: str) -> Float[np.ndarray, "networks draws levels"]:
    """Accuracies of all networks under one sweep."""
    return np.array([p["accuracies"] for p in points if p["sweep_name"] == f"{kind} {place}"])


def levels_of(points: Points, kind: str) -> tuple[float, ...]:
    """The noise levels of a kind of sweep."""
    return next(point["sweep"].levels for point in points if point["sweep"].kind == kind)


def lines_over_levels(points: Points, kind: str, place: str) -> dict[float, list[float]]:
    """Accuracies of all networks and draws under one sweep, by noise level."""
    accuracies = curves_of(points, kind, place)
    return {level: accuracies[..., i].ravel().tolist() for i, level in enumerate(levels_of(points, kind))}


def places_of(points: Points, kind: str) -> list[str]:
    """Positions that were swept alone, in order."""
    names = dict.fromkeys(p["sweep_name"].split(" ", 1)[1] for p in points if p["sweep"].kind == kind)
    return [name for name in names if name != EVERYWHERE]


def midpoints_of(points: Points, kind: str, chance: float) -> dict[str, Midpoint]:
    """Midpoints by position and everywhere; intervals over networks, or over draws of a single one."""
    levels = np.array(levels_of(points, kind))
    return {
        place: fit_midpoint(levels, curves_of(points, kind, place), chance=chance)
        for place in (*places_of(points, kind), EVERYWHERE)
    }


def describe(points: Points) -> str:
    """Data, networks and draws of evaluated points, for captions."""
    first = points[0]
    seeds = sorted({point["seed"] for point in points})
    epochs = sorted({point["n_epochs"] for point in points})
    data = first["data_source"] + (" (synthetic data)" if first["data_is_synthetic"] else "")
    draws = max(point["n_draws"] for point in points)
    listed = ", ".join(map(str, seeds))
    swept = first.get("n_swept_samples") or first["n_test_samples"]
    samples = f"{swept} of {first['n_test_samples']}" if swept < first["n_test_samples"] else f"{swept}"
    networks = f"{len(seeds)} network{'s' if len(seeds) > 1 else ''} per kind (seed {listed})"
    return (
        f"{data}, {samples} test samples, {networks}, {', '.join(map(str, epochs))} epochs, "
        f"{draws} draw{'s' if draws > 1 else ''} of noise; all levels of a draw share their random numbers."
    )


def intervals_over(points: Points) -> str:
    """What the intervals of ``midpoints_of`` are over, in words."""
    return "networks" if len({point["seed"] for point in points}) > 1 else "draws of one network"


def overflow_note(points: Points) -> str:
    """A sentence on accuracies far below chance, empty where there are none."""
    lowest = min(float(np.min(point["accuracies"])) for point in points)
    return " Accuracies near 0: outputs that are not finite count as wrong." if lowest < CHANCE / 2 else ""


def midpoint_record(midpoint: Midpoint) -> dict[str, Any]:
    """What the CSV file of a figure says of a midpoint."""
    return {
        "midpoint": midpoint.value,
        "low": midpoint.low,
        "high": midpoint.high,
        "censored": midpoint.censored,
        "slope": midpoint.slope,
        "clean": midpoint.clean,
        "chance": midpoint.chance,
        "is_monotone": midpoint.is_monotone,
    }
