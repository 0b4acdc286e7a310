"""Training with noise at the place where it will be: how much more does each layer tolerate then?

Expected (published midpoints, MLP without batch normalization on MNIST, 100 epochs): 1.69 for noise
everywhere (0.471 without noise in training); from input to logits 2.14, 51.8, 81.6, 333, 954, 332, 3.1e4,
7.7e5. Here 30 epochs and a coarse grid of levels. Found: docs/walking_noise.md.
Command: python train.py -exp=noisy_training; 15 trainings of 30 epochs, about 5 minutes on two cores.
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.walking_noise.trained_with_noise import draw_trained_with_noise
from jaxrobust.perturbations.noise import AdditiveNoise
from jaxrobust.studies.walking_noise.evaluations import activation_statistics, noise_sweep
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseSweep

EPOCHS = 30
NETWORK = PublishedNetwork("mlp", normalize=False)
# Noise levels in training and evaluation by position.
LEVELS = {
    "all": (0.562, 1.0, 1.78, 3.16, 5.62),
    "input": (1.0, 1.78, 3.16, 5.62, 10.0),
    "fc1": (25.0,),
    "relu2": (1e3,),
    "logits": (1e3, 1e5),
}


class noisy_training:
    """One network per position and level, and one without noise."""

    def train_grid(self) -> list[dict[str, Any]]:
        """The networks; ``place`` and ``level`` say where noise is and how much."""
        every = NETWORK.positions("mnist")
        grid = [{**published_point(NETWORK, epochs=EPOCHS), "place": "none", "level": 0.0, "where": every}]
        for place, levels in LEVELS.items():
            where = every if place == "all" else (place,)
            for level in levels:
                noise = {name: AdditiveNoise(level) for name in where}
                point = published_point(NETWORK, epochs=EPOCHS, noise=noise)
                grid.append({**point, "place": place, "level": level, "where": where})
        return grid

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under the noise of the training, of the network without it too, and sizes of weights."""
        points = [
            {**point, "n_draws": 3, "sweep": NoiseSweep(point["where"], (point["level"],))} for point in grid
        ]
        points = dj.run(points, noise_sweep, store_key="accuracies", **how)("{*}", "{sweep}")
        points = dj.run(points, activation_statistics, store_key="statistics", **how)("{*}", "{sweep}")
        clean = next(point for point in grid if point["place"] == "none")
        every = NETWORK.positions("mnist")
        untrained = [
            {
                **clean,
                "n_draws": 3,
                "place": place,
                "level": "sweep",
                "sweep": NoiseSweep(every if place == "all" else (place,), levels),
            }
            for place, levels in LEVELS.items()
        ]
        return points + dj.run(untrained, noise_sweep, store_key="accuracies", **how)("{*}", "{sweep}")

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy with and without noise in training, and the growth of weights."""
        return draw_trained_with_noise(grid, folder, "noisy_training")
