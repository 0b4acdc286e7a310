"""Multiplicative noise of any size: with batch normalization behind it, a network learns to code in zeros.

Expected (measured before, MLP on MNIST, 20 epochs): with batch normalization 95.0 and 97.1 % at relu1 and
relu2 under noise of 1e10 times the activation, at relu3 (nothing normalizes behind it) chance; without batch
normalization chance at relu1. Found: docs/walking_noise.md.
Command: python train.py -exp=self_binarization; nine trainings of 20 epochs, about 3 minutes on two
cores.
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.walking_noise.binarization import draw_binarization
from jaxrobust.perturbations.noise import MultiplicativeNoise
from jaxrobust.studies.walking_noise.evaluations import activation_statistics, noise_sweep
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseSweep

EPOCHS = 20
# Batch normalization, position and levels; no position: trained without noise.
CASES = (
    (True, "", (0.0,)),
    (True, "relu1", (1e4, 1e10)),
    (True, "relu2", (1e4, 1e10)),
    (True, "relu3", (1e10,)),
    (False, "", (0.0,)),
    (False, "relu1", (1e6,)),
    (False, "relu2", (1e6,)),
)


class self_binarization:
    """The MLP with noise behind one ReLU, in training and evaluation."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Nine networks."""
        grid = []
        for normalize, place, levels in CASES:
            for level in levels:
                noise = {place: MultiplicativeNoise(level)} if place else None
                point = published_point(PublishedNetwork("mlp", normalize), epochs=EPOCHS, noise=noise)
                grid.append({**point, "place": place, "level": level})
        return grid

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy with and without the noise, and how many activations are nearly zero."""
        points = [
            {
                **point,
                "n_draws": 3,
                "sweep": NoiseSweep(
                    (point["place"] or "relu1",), (0.0, point["level"]), kind="multiplicative"
                ),
            }
            for point in grid
        ]
        points = dj.run(points, noise_sweep, store_key="accuracies", **how)("{*}", "{sweep}")
        return dj.run(points, activation_statistics, store_key="statistics", **how)("{*}", None)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracies as bars, and the share of activations that are nearly zero."""
        return draw_binarization(grid, folder, "self_binarization")
