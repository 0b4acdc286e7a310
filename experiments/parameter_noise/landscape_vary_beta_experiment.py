"""The loss around trained parameters for a growing weight of the robust term, on test and training data.

Expected (published): the larger beta, the flatter the landscape, on both parts of the data.
Command: python train.py -exp=landscape_vary_beta_experiment (-protocol=short: 500 samples, one seed)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.landscapes import compare_landscapes
from jaxrobust.figures.style import shades
from jaxrobust.studies.evaluations.landscape import random_landscape_sweep
from jaxrobust.studies.parameter_noise import protocols

BETAS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)


class landscape_vary_beta_experiment:
    """Six weights of the robust term on three networks, two seeds each."""

    short = protocols.SHORT_SWEEP.evaluating(n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty-six models."""
        return protocols.with_methods(
            protocols.published_networks(), [protocols.beta(weight) for weight in BETAS]
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Cross-entropy at fifty points of five random directions, on test and training data."""
        return random_landscape_sweep(grid, parts=["test", "train"], **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Smoothed and raw landscapes and the table of their slopes, for each part of the data."""
        return [
            path
            for part in ("test", "train")
            for path in compare_landscapes(
                dj.query(grid, "*", where={"part": part}),
                folder,
                f"landscape_vary_beta_experiment_{part}",
                direction="random direction",
                unit="20 % mismatch",
                line="beta_robustness",
                styles=shades(f"{weight:g}" for weight in BETAS),
                legend_title="Weight of the robust term β",
            )
        ]
