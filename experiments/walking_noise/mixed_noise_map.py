"""Multiplicative and additive noise together, before a batch normalization, in evaluation only.

Expected: at the edges of the maps the accuracies of either noise alone. In between, the two orders differ
only where both noises are large, as the second order multiplies the added noise as well. Found:
docs/walking_noise.md.
Command: python train.py -exp=mixed_noise_map; one training of 15 epochs and four evaluations, about a minute
on two idle cores.
"""

from pathlib import Path
from typing import Any, get_args

from jaxrobust.figures.walking_noise.mixed import draw_mixed
from jaxrobust.perturbations.noise import Order
from jaxrobust.studies.walking_noise.evaluations import with_sweeps
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseMap, decades

EPOCHS = 15
POSITIONS = ("fc2",)
AMPLITUDES = decades(-2, 4, per_decade=2)
RATIOS = (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0)
ZOOM = tuple(round(0.1 + 0.3 * i, 1) for i in range(9))


class mixed_noise_map:
    """The MLP for MNIST with batch normalization, trained without noise."""

    def train_grid(self) -> list[dict[str, Any]]:
        """One network."""
        return [published_point(PublishedNetwork("mlp", normalize=True), epochs=EPOCHS)]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy over amplitude and ratio and, closer, over both standard deviations, in both orders."""
        maps = {}
        for order in get_args(Order):
            maps[f"map, {order}"] = NoiseMap(POSITIONS, AMPLITUDES, RATIOS, order=order)
            maps[f"zoom, {order}"] = NoiseMap(POSITIONS, ZOOM, ZOOM, "multiplicative, additive", order)
        return with_sweeps(grid, maps, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Maps of accuracy."""
        return draw_mixed(grid, folder, "mixed_noise_map")
