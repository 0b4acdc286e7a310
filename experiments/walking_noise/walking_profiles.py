"""Walking noise on networks trained without noise: how much noise does each layer tolerate?

Expected (published, MLP without batch normalization on MNIST): midpoint of noise everywhere 0.471; from input
to logits 0.504, 3.12, 2.33, 6.88, 5.63, 18.1, 16.9, 36.7. Found: docs/walking_noise.md.
Command: python train.py -exp=walking_profiles; six trainings of 100 epochs, about a minute each on two idle
cores, then one evaluation per network, position and kind of noise.
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.profiles import draw_profiles
from jaxrobust.studies.walking_noise.evaluations import with_sweeps
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import mnist_networks
from jaxrobust.studies.walking_noise.sweeps import Kind, NoiseSweep, decades

ADDITIVE = decades(-2, 4)
MULTIPLICATIVE = decades(-1, 5)


def sweeps_of(network: PublishedNetwork, dataset: str) -> dict[str, NoiseSweep]:
    """Noise at every position alone and at all of them, added and multiplied."""
    positions = network.positions(dataset)
    places = {"all": positions, **{name: (name,) for name in positions}}
    kinds: dict[Kind, tuple[float, ...]] = {"additive": ADDITIVE, "multiplicative": MULTIPLICATIVE}
    return {
        f"{kind} {name}": NoiseSweep(where, levels, kind)
        for kind, levels in kinds.items()
        for name, where in places.items()
    }


class walking_profiles:
    """The MLP with and without batch normalization on MNIST, three seeds, trained without noise."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Six networks."""
        return mnist_networks()

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position."""
        evaluated = []
        for network in dict.fromkeys(point["network"] for point in grid):
            its = [point for point in grid if point["network"] == network]
            evaluated += with_sweeps(its, sweeps_of(network, its[0]["dataset"]), **how)
        return evaluated

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Curves of noise everywhere, and midpoints position by position."""
        return draw_profiles(grid, folder, "walking_profiles")
