"""Captions: data, split, schedule, networks and devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxrobust.figures.series import Points
from jaxrobust.studies.parameter_noise.catalogue import family_of


def describe(points: Points) -> str:
    """Describe the data and networks of evaluated grid points, one line per network family and kind of data.

    Named are the source of the data, the split, the test samples (and how many of them were used), the
    schedule (and what it was shortened from), the steps of the attack where they are not the published ones,
    the networks, and the devices of each if the points hold ``accuracies``.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for point in points:
        groups.setdefault((point["architecture"], point["data_source"], point["split"]), []).append(point)
    return "\n".join(_describe_alike(group) for group in groups.values())


def _describe_alike(points: Points) -> str:
    first = points[0]
    synthetic = first["data_is_synthetic"] and "synthetic" not in first["data_source"]
    parts = [first["data_source"] + (" (synthetic data)" if synthetic else "")]
    if first["split"]:
        parts.append(f"split {first['split']}")
    if all(point.get("normalisation") == "batch" for point in points):
        parts.append("normalised by the batch at hand")
    parts += [_samples(first), _schedule(points)]
    steps = {point["n_attack_steps"] for point in points} - {_published_steps(first)}
    if steps:
        noun = "attack step" if steps == {1} else "attack steps"
        parts.append(f"{listed(steps)} {noun} (published: {_published_steps(first)})")
    networks = {point["trained"] for point in points}
    seeds = {point["seed"] for point in points}
    parts.append(f"{counted(len(networks), 'network')} with {_number('seed', seeds)} {listed(seeds)}")
    devices = max((len(point.get("accuracies", ())) for point in points), default=0)
    if devices:
        parts.append(f"{counted(devices, 'device')} a network and level")
    return ", ".join(parts) + "."


def listed(values: Iterable[Any]) -> str:
    """Sort numbers or words and join them as in a sentence: ``0, 1 and 3``."""
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(values)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 device``, ``25 devices``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _number(noun: str, values: set[Any]) -> str:
    return noun if len(values) == 1 else f"{noun}s"


def _samples(point: Mapping[str, Any]) -> str:
    n_all, n_used = point["n_test_samples"], point.get("n_samples", 0)
    return f"{n_used} of {n_all} test samples" if 0 < n_used < n_all else f"{n_all} test samples"


def _schedule(points: Points) -> str:
    schedules = {}
    for point in points:
        text = f"{_epochs(point['n_epochs'])} epochs"
        published = point.get("published_n_epochs")
        if published and published != point["n_epochs"]:
            text += f" (shortened from {_epochs(published)})"
        schedules[text] = None
    return " or ".join(schedules)


def _epochs(phases: Sequence[float]) -> str:
    return " + ".join(f"{epochs:g}" for epochs in phases)


def _published_steps(point: Mapping[str, Any]) -> int:
    return family_of(point).settings["n_attack_steps"].default
