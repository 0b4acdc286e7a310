"""Adversarial weight perturbation with attacks of several sizes.

Expected (published): a table in the supplement without a clear best; AWP stays below forward noise + beta.
Command: python train.py -exp=awp_sweep (-protocol=short for two cores)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.sweeps import draw_mismatch_sweep
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

SEED = 1  # as published
SIZES = (0.01, 0.03, 0.05, 0.1)


class awp_sweep:
    """AWP with four sizes of the attack on parameters, on three networks."""

    short = replace(protocols.SHORT_SWEEP, seeds=(SEED,)).evaluating(n_samples=500, n_draws=25)

    def train_grid(self) -> list[dict[str, Any]]:
        """Twelve models."""
        grid = protocols.with_methods(protocols.published_networks(), [protocols.AWP], seeds=(SEED,))
        return dj.split(grid, "attack_size_mismatch", list(SIZES))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """A line for each size, a panel for each network, and the table."""
        return draw_mismatch_sweep(
            grid, folder, "awp_sweep", setting="attack_size_mismatch", called="AWP, attack size ζ"
        )
