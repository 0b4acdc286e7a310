"""Multiplicative and additive noise together in training too: LeNet-5 for CIFAR-10, behind conv2.

The published family (LeNet5_BN_layer_5_combined) has 35 amplitudes, 35 ratios, both orders and five repeats;
here every fifth amplitude, seven of the ratios and one repeat. Accuracies are not published as numbers.
Command: python train.py -exp=mixed_noise_training -mode=slurm; 98 trainings of 300 epochs, for a cluster.
"""

from pathlib import Path
from typing import Any, get_args

import datajuicer as dj
from jaxrobust.figures.walking_noise.mixed import draw_mixed
from jaxrobust.perturbations.noise import CombinedNoise, Order
from jaxrobust.studies.walking_noise.evaluations import noise_sweep
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseMap, decades

POSITION = "conv2"
AMPLITUDES = decades(-4, 13, per_decade=2)[::5]
RATIOS = (1e-17, 1e-8, 1e-2, 0.5, 1 - 1e-2, 1 - 1e-8, 1 - 1e-16)


class mixed_noise_training:
    """LeNet-5 with batch normalization, one network per amplitude, ratio and order."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Ninety-eight networks, each with the map of its one cell as ``sweep``."""
        grid = []
        for order in get_args(Order):
            for amplitude in AMPLITUDES:
                for ratio in RATIOS:
                    noise = {POSITION: CombinedNoise.of_amplitude(amplitude, ratio, order)}
                    point = published_point(
                        PublishedNetwork("lenet5", normalize=True), "cifar10", noise=noise
                    )
                    cell = NoiseMap((POSITION,), (amplitude,), (ratio,), order=order)
                    grid.append({**point, "sweep": cell, "n_draws": 3})
        return grid

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of every network under its own noise."""
        return dj.run(grid, noise_sweep, store_key="accuracies", **how)("{*}", "{sweep}")

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """A map of accuracy per order."""
        return draw_mixed(grid, folder, "mixed_noise_training")
