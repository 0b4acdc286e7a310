"""Walking noise on LeNet-5 for MNIST, trained without noise for 50 epochs.

Found (one network of each kind): noise everywhere has its midpoint at 0.441 without batch normalization and
at 0.157 with it, published 0.607 and 0.238; positions have the published order (docs/walking_noise.md).
Command: python train.py -exp=walking_profiles_lenet -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.profiles import draw_profiles
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.profiles import with_profiles
from jaxrobust.studies.walking_noise.protocol import published_point


class walking_profiles_lenet:
    """LeNet-5 without and with batch normalization, one network of each."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Two networks."""
        return [
            published_point(PublishedNetwork("lenet5", normalize), "mnist") for normalize in (False, True)
        ]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position, on a part of the test images."""
        return with_profiles(grid, n_samples=2000, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Curves of noise everywhere, and midpoints position by position."""
        return draw_profiles(grid, folder, "walking_profiles_lenet")
