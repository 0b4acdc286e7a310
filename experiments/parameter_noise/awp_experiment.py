"""Adversarial weight perturbation with an attack on the inputs as well (Figure S11).

Expected (published): attacks on the inputs add nothing to robustness against mismatch; without them AWP has
82 % at mismatch 0.5 on images and 80 % on ECG.
Command: python train.py -exp=awp_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.sweeps import draw_mismatch_sweep
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

# Largest change of an input; images lie in [0, 1], the sequences of the LSNNs are wider.
LSNN_SIZES = (0.0, 0.01, 0.1, 1.0)
CNN_SIZES = (0.0, 0.001, 0.01, 0.1)


class awp_experiment:
    """AWP with four sizes of the attack on inputs, on three networks."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Twelve models."""
        grid = protocols.with_methods(protocols.published_networks(), [protocols.AWP], seeds=(0,))
        spiking = [point for point in grid if point["architecture"] != "cnn"]
        images = [point for point in grid if point["architecture"] == "cnn"]
        return dj.split(spiking, "eps_pga", list(LSNN_SIZES)) + dj.split(images, "eps_pga", list(CNN_SIZES))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """A line for each size, a panel for each network."""
        return draw_mismatch_sweep(
            grid, folder, "awp_experiment", setting="eps_pga", called="Attack on inputs, ε", none="none"
        )
