"""The loss around trained parameters along random directions: how flat each training method makes it.

Expected (published): the mean slope of standard training is at least five times that of forward noise + beta
(CNN 0.34 against 0.02, ECG 0.16 against 0.02, speech 0.27 against 0.05).
Command: python train.py -exp=landscape_experiment (-protocol=short for two cores: 500 test samples)
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.landscapes import compare_landscapes
from jaxrobust.studies.evaluations.landscape import random_landscape_sweep
from jaxrobust.studies.parameter_noise import protocols


class landscape_experiment:
    """Six methods on three networks, two seeds each, five directions a network."""

    two_cores = protocols.TWO_CORES
    short = protocols.SHORT.evaluating(n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty-six models, all of them in the mismatch experiment too."""
        return protocols.with_methods(protocols.published_networks(), protocols.METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Cross-entropy at fifty points of each line."""
        return random_landscape_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Smoothed and raw landscapes, and the table of their slopes."""
        return compare_landscapes(
            grid,
            folder,
            "landscape_experiment",
            direction="random direction",
            unit="20 % mismatch",
        )
