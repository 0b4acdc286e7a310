"""The loss around trained parameters along the directions that attacks find.

Expected: forward noise + beta and beta are flattest, as along random directions; standard training steepest.
Command: python train.py -exp=adversarial_landscape_experiment (-protocol=short: 500 test samples)
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.landscapes import compare_landscapes
from jaxrobust.studies.evaluations.landscape import adversarial_landscape_sweep
from jaxrobust.studies.parameter_noise import protocols


class adversarial_landscape_experiment:
    """Six methods on three networks, two seeds each, one attack a network."""

    short = protocols.SHORT.evaluating(n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty-six models, all of them in the mismatch experiment too."""
        return protocols.with_methods(protocols.published_networks(), protocols.METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Cross-entropy at fifty points of each line; attacks of size 0.1 with ten steps."""
        return adversarial_landscape_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Smoothed and raw landscapes, and the table of their slopes."""
        return compare_landscapes(
            grid,
            folder,
            "adversarial_landscape_experiment",
            direction="adversarial direction",
            unit="20 % of an attack of size 0.1",
        )
