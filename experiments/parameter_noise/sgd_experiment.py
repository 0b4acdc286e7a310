"""Plain SGD with small and with large batches on speech: does the noise of small batches make robust?

Expected: small batches train further in the same number of epochs; neither withstands mismatch as robust
training does. The networks are trained without the robust term.
Command: python train.py -exp=sgd_experiment (-protocol=short: one seed)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.training import Measured, draw_training_and
from jaxrobust.figures.style import shades
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import speech_lsnn


class sgd_experiment:
    """Two batch sizes, ten seeds each."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Twenty models."""
        sgd = speech_lsnn.make() | {
            "beta_robustness": 0.0,
            "optimizer": "sgd",
            "learning_rate": (0.01, 0.001),
        }
        grid = [
            sgd | {"batch_size": 8, "n_epochs": (200.0, 56.0)},
            sgd | {"batch_size": 128, "n_epochs": (200.0, 88.0)},
        ]
        return dj.split(grid, "seed", list(range(10)))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Validation accuracy over training, and test accuracy under mismatch."""
        return draw_training_and(
            Measured.under_mismatch(),
            grid,
            folder,
            "sgd_experiment",
            line="batch_size",
            styles=shades(["8", "128"]),
            legend_title="Batch size",
        )
