"""Walking noise on LeNet-5 for CIFAR-10, trained without noise for 300 epochs, five networks of each kind.

The example of the published README. Expected (published): noise everywhere has its midpoint at 0.250 without
batch normalization and at 0.197 with it; both profiles stand in the table.
Command: python train.py -exp=walking_profiles_lenet_cifar10 -mode=slurm; for a cluster.
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.profiles import draw_profiles
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.profiles import with_profiles
from jaxrobust.studies.walking_noise.protocol import published_point


class walking_profiles_lenet_cifar10:
    """LeNet-5 without and with batch normalization, five seeds."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Ten networks."""
        return [
            published_point(PublishedNetwork("lenet5", normalize), "cifar10", seed=seed)
            for normalize in (False, True)
            for seed in range(5)
        ]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position."""
        return with_profiles(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Curves of noise everywhere, and midpoints position by position."""
        return draw_profiles(grid, folder, "walking_profiles_lenet_cifar10")
