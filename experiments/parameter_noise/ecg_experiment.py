"""Heartbeats under mismatch: four training methods of a spiking network on MIT-BIH, with both splits.

Expected (published, split by beat, 150 + 50 epochs): standard 99 % at mismatch 0 and 77 % at 0.5; forward
noise + beta 99 % and 95 %. The split by patient has the two classes that occur in many patients, normal beats
and premature ventricular contractions; of bundle branch blocks there are too few patients to learn from.
Command: python train.py -exp=ecg_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.comparison import compare_under_mismatch
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import ecg_lsnn


class ecg_experiment:
    """Four methods, two seeds, two splits."""

    two_cores = protocols.TWO_CORES
    # Longer than protocols.SHORT: this experiment has the front page to itself.
    short = protocols.Protocol(
        {"ecg_lsnn": {"n_epochs": (10.0, 4.0), "learning_rate": (5e-3, 5e-4), "eval_step_interval": 100}}
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Sixteen models."""
        grid = dj.split([ecg_lsnn.make()], "split", ["published", "patients_normal_pvc"])
        return protocols.with_methods(
            grid,
            [protocols.STANDARD, protocols.FORWARD_NOISE, protocols.BETA, protocols.FORWARD_NOISE_BETA],
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Split violins, a panel for each split of the data."""
        panels = {
            "a  Split by beat, as published": dj.query(grid, "*", where={"split": "published"}),
            "b  Split by patient, normal against PVC": dj.query(
                grid, "*", where={"split": "patients_normal_pvc"}
            ),
        }
        return compare_under_mismatch(
            panels, folder, "ecg_experiment", left="Standard", right="Forward noise + beta"
        )
