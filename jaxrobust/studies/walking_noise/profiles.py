"""Walking profiles of published networks: noise at every position alone, and at all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxrobust.studies.walking_noise.evaluations import with_sweeps
from jaxrobust.studies.walking_noise.networks import OnStandardizedImages, PublishedNetwork
from jaxrobust.studies.walking_noise.sweeps import Kind, NoiseSweep, decades

ADDITIVE = decades(-2, 4)
MULTIPLICATIVE = decades(-1, 5)


def sweeps_of(network: PublishedNetwork | OnStandardizedImages, dataset: str) -> dict[str, NoiseSweep]:
    """Noise at every position alone and at all of them, added and multiplied, by name."""
    positions = network.positions(dataset)
    places = {"all": positions, **{name: (name,) for name in positions}}
    kinds: dict[Kind, tuple[float, ...]] = {"additive": ADDITIVE, "multiplicative": MULTIPLICATIVE}
    return {
        f"{kind} {name}": NoiseSweep(where, levels, kind)
        for kind, levels in kinds.items()
        for name, where in places.items()
    }


def with_profiles(
    grid: Sequence[Mapping[str, Any]], *, n_samples: int = 0, **how: Any
) -> list[dict[str, Any]]:
    """Evaluate trained points under the sweeps of their networks.

    Args:
        grid: Trained points of ``published_point``.
        n_samples: Test samples, taken at even distances; 0 for all.
        how: Options of ``datajuicer.run``.
    """
    evaluated = []
    for network in dict.fromkeys(point["network"] for point in grid):
        its = [point for point in grid if point["network"] == network]
        sweeps = sweeps_of(network, its[0]["dataset"])
        evaluated += with_sweeps(its, sweeps, n_samples=n_samples, **how)
    return evaluated
