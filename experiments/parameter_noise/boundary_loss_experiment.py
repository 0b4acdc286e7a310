"""Which divergence the attack increases and the robust term keeps small: four of them on heartbeats.

Expected: all four train; they differ little in accuracy and under mismatch.
Command: python train.py -exp=boundary_loss_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.divergences import DIVERGENCES
from jaxrobust.figures.parameter_noise.training import Measured, draw_training_and
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import ecg_lsnn


class boundary_loss_experiment:
    """Four divergences."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Four models."""
        return dj.split(
            [ecg_lsnn.make() | {"split": "published"}], "boundary_loss", ["kl", "reverse_kl", "js", "l2"]
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Validation accuracy over training, and test accuracy under mismatch."""
        points = [{**point, "divergence": DIVERGENCES[point["boundary_loss"]].name} for point in grid]
        return draw_training_and(
            Measured.under_mismatch(),
            points,
            folder,
            "boundary_loss_experiment",
            line="divergence",
            styles={divergence.name: divergence.style for divergence in DIVERGENCES.values()},
        )
