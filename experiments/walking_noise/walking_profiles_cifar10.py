"""Walking noise on the MLP for CIFAR-10, trained without noise for 200 epochs, with crops and flips.

Expected (published): noise everywhere has its midpoint at 1.634 without batch normalization and at 0.333 with
it; the profile with it stands in the table.
Command: python train.py -exp=walking_profiles_cifar10 -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.profiles import draw_profiles
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.profiles import with_profiles
from jaxrobust.studies.walking_noise.protocol import published_point


class walking_profiles_cifar10:
    """The MLP without and with batch normalization, one network of each."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Two networks."""
        return [published_point(PublishedNetwork("mlp", normalize), "cifar10") for normalize in (False, True)]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position."""
        return with_profiles(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Curves of noise everywhere, and midpoints position by position."""
        return draw_profiles(grid, folder, "walking_profiles_cifar10")
