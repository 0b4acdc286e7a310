"""Captions: data, split, schedule, networks and devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxrobust.figures.series import Points
from jaxrobust.studies.evaluations.trained import BATCH_SIZE
from jaxrobust.studies.parameter_noise.catalogue import family_of


def describe(points: Points) -> str:
    """Describe the data and networks of evaluated grid points, one line per network family and kind of data.

    Named are the source of the data, the split, the test samples (and how many of them were used), the
    schedule (and what it was shortened from), the steps of the attack where they are not the published ones,
    whether the last step's parameters were kept, the networks, and the devices of each if the points hold
    ``accuracies``.
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
        parts.append(f"normalized by batch statistics (at most {BATCH_SIZE} samples at once)")
    elif {point.get("normalisation") for point in points} == {"running"}:
        parts.append("normalized by running statistics")
    parts += [samples_of(first), _schedule(points)]
    if rates := _rates(points):
        parts.append(rates)
    steps = {point["n_attack_steps"] for point in points} - {_published_steps(first)}
    if steps:
        noun = "attack step" if steps == {1} else "attack steps"
        parts.append(f"{listed(steps)} {noun} (published: {_published_steps(first)})")
    if all(point.get("keep") == "last" for point in points):
        parts.append("parameters of the last step")
    parts.append(_networks(points))
    devices = max((len(point.get("accuracies", ())) for point in points), default=0)
    if devices:
        parts.append(f"{counted(devices, 'device')} per network and level, the same draws for all")
    return ", ".join(parts) + "."


def _networks(points: Points) -> str:
    """Networks per method: what stands behind one line, violin or cell."""
    networks: dict[tuple[str, ...], set[Any]] = {}
    for point in points:
        settings = [str(point.get(name)) for name in ("method", "line", *_SWEPT)]
        networks.setdefault(tuple(settings), set()).add(point["trained"])
    counts = {alike: len(trained) for alike, trained in networks.items()}
    seeds = {point["seed"] for point in points}
    return f"{_counted_networks(points, counts)} ({_number('seed', seeds)} {listed(seeds)})"


def _counted_networks(points: Points, counts: Mapping[tuple[str, ...], int]) -> str:
    methods: dict[int, dict[str, None]] = {}
    for (method, *_), count in counts.items():
        methods.setdefault(count, {})[method] = None
    differ_by_method = sum(map(len, methods.values())) == len({method for method, *_ in counts})
    if len(methods) > 1 and differ_by_method:
        return ", ".join(
            f"{_few(count)}{' each' if len(named) > 1 else ''} of {joined(named)}"
            for count, named in sorted(methods.items(), reverse=True)
        )
    per = "" if len(counts) == 1 else " per method" if _varies(points, "method") else " per setting"
    return f"{_few(*methods)}{per}"


def _few(*counts: int) -> str:
    return "one network" if set(counts) == {1} else f"{listed(set(counts))} networks"


# Settings that experiments sweep: networks that differ in them are no repetitions of one another.
_SWEPT = (
    *("beta_robustness", "attack_size_mismatch", "noisy_forward_std", "noisy_forward_mode", "n_attack_steps"),
    *("boundary_loss", "treat_as_constant", "batch_size", "normalisation", "precision", "n_epochs"),
    *("awp_gamma", "amp_size", "attack_size_constant", "weight_clipping", "optimizer", "learning_rate"),
    *("weight_increase", "keep"),
)


def _varies(points: Points, name: str) -> bool:
    return len({str(point.get(name)) for point in points}) > 1


def _rates(points: Points) -> str:
    """Learning rates, which decide how fragile a network becomes."""
    rates = {tuple(point["learning_rate"]) for point in points if "learning_rate" in point}
    if not rates:
        return ""
    words = " or ".join(" and ".join(f"{rate:g}" for rate in each) for each in sorted(rates))
    return f"{_number('learning rate', {rate for each in rates for rate in each})} {words}"


def listed(values: Iterable[Any]) -> str:
    """Sort numbers or words and join them as in a sentence: ``0, 1 and 3``."""
    return joined(f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(values))


def joined(words: Iterable[str]) -> str:
    """Join words as in a sentence: ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 device``, ``25 devices``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _number(noun: str, values: set[Any]) -> str:
    return noun if len(values) == 1 else f"{noun}s"


def samples_of(point: Mapping[str, Any]) -> str:
    """Say how many test samples a point used, and the standard error of an accuracy on so many."""
    n_all, n_used = point["n_test_samples"], point.get("n_samples", 0)
    n = n_used if 0 < n_used < n_all else n_all
    text = f"{n_used} of {n_all} test samples" if n < n_all else f"{n_all} test samples"
    return f"{text} (standard error of an accuracy up to {50 / n**0.5:.1f} points)"


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
