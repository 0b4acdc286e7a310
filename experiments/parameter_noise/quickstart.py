"""A first look in a few minutes: standard against robust training on data that come with the library.

Expected: robust training loses less than a point at mismatch 0 and stays far above standard training at 0.5,
for a small fully connected network on handwritten digits and a small spiking network on synthetic heartbeats.
Takes four minutes of processor time, half of that on two cores with -n_threads=2.
Command: python train.py -exp=quickstart && python make_figures.py -exp=quickstart
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.comparison import compare_under_mismatch
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp, ecg_lsnn


class quickstart:
    """Two small networks, standard and robust, two seeds each."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Eight models."""
        digits = digits_mlp.make()
        heartbeats = ecg_lsnn.make() | {
            "dataset": "generated_ecg",
            "n_hidden": 48,
            "n_epochs": (24.0, 8.0),
            "learning_rate": (5e-3, 5e-4),
            "eval_step_interval": 50,
        }
        return protocols.with_methods(
            [digits, heartbeats], [protocols.STANDARD, protocols.FORWARD_NOISE_BETA]
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Split violins, a panel for each network."""
        panels = {
            "a  Handwritten digits, MLP": dj.query(grid, "*", where={"architecture": "digits_mlp"}),
            "b  Heartbeats, spiking LSNN": dj.query(grid, "*", where={"architecture": "ecg_lsnn"}),
        }
        return compare_under_mismatch(
            panels, folder, "quickstart", left="Standard", right="Forward noise + beta"
        )
