"""Walking noise on networks trained without noise: how much noise does each layer tolerate?

Expected (published, MLP without batch normalization on MNIST): midpoint of noise everywhere 0.471; from input
to logits 0.504, 3.12, 2.33, 6.88, 5.63, 18.1, 16.9, 36.7. Found: docs/walking_noise.md.
Command: python train.py -exp=walking_profiles; six trainings of 100 epochs, about a minute each on two idle
cores, then one evaluation per network, position and kind of noise.
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.profiles import draw_profiles
from jaxrobust.studies.walking_noise.profiles import with_profiles
from jaxrobust.studies.walking_noise.protocol import mnist_networks


class walking_profiles:
    """The MLP with and without batch normalization on MNIST, three seeds, trained without noise."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Six networks."""
        return mnist_networks()

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position."""
        return with_profiles(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Curves of noise everywhere, and midpoints position by position."""
        return draw_profiles(grid, folder, "walking_profiles")
