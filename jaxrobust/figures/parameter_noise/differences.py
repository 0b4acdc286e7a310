"""Differences between methods, paired on the devices that they have in common.

Device ``i`` has the same random draws in every method, network and level (one PRNG key for all). Two methods
are therefore compared device by device, and one mean difference is one number per pair of networks. With
several networks the standard error is that over networks; with one it is over the devices of that pair and
says nothing about other networks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrobust.figures.series import Points, label_of

# Accuracies of each network's devices, by seed.
Networks = Mapping[int, Sequence[float]]


class Difference(NamedTuple):
    """A mean difference, as a fraction, and its standard error.

    Attributes:
        mean: Of the accuracies, device by device.
        error: Its standard error; NaN for one device of one network.
        n_networks: Pairs of networks.
    """

    mean: float
    error: float
    n_networks: int


def accuracies_of_networks(points: Points, line: str = "method") -> dict[str, dict[float, Networks]]:
    """Collect accuracies by method (or the key ``line``), level and seed of the network."""
    result: dict[str, dict[float, dict[int, Sequence[float]]]] = {}
    for point in points:
        levels = result.setdefault(label_of(point, line), {})
        levels.setdefault(point["level"], {})[point["seed"]] = point["accuracies"]
    return result  # pyright: ignore[reportReturnType]


def paired_difference(ours: Networks, theirs: Networks) -> Difference:
    """Compare two methods on common networks' seeds and common devices.

    Example:
        >>> paired_difference({0: [0.9, 0.7]}, {0: [0.8, 0.6]}).mean.__round__(3)
        0.1
    """
    seeds = sorted(ours.keys() & theirs.keys()) or None
    pairs = [(ours[s], theirs[s]) for s in seeds] if seeds else [(_all(ours), _all(theirs))]
    of_networks = []
    for one, other in pairs:
        n = min(len(one), len(other))
        of_networks.append(np.asarray(one[:n]) - np.asarray(other[:n]))
    means = np.array([values.mean() for values in of_networks])
    sample = means if len(means) > 1 else of_networks[0]
    error = float(np.std(sample, ddof=1)) / math.sqrt(len(sample)) if len(sample) > 1 else math.nan
    return Difference(float(means.mean()), error, len(means))


def is_ahead(ours: Networks, theirs: Networks) -> bool:
    """Whether the mean difference is larger than its standard error; never by a single device."""
    difference = paired_difference(ours, theirs)
    return difference.mean > difference.error  # false for NaN


def _all(networks: Networks) -> list[float]:
    return [accuracy for accuracies in networks.values() for accuracy in accuracies]
