"""Adversarial model perturbation with steps of several lengths.

Expected: published as no better than standard training, 61 % at mismatch 0.5 on images; but the published
code had no gradient of the attacked loss, so that it trained in the standard way. Here the gradient is taken
at the perturbed parameters, as AMP is defined.
Command: python train.py -exp=amp_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.sweeps import draw_mismatch_sweep
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

LENGTHS = (0.02, 0.01, 0.005, 0.001, 0.0005)


class amp_experiment:
    """AMP with five lengths of the step of each tensor, on three networks, two seeds each."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty models."""
        methods = [protocols.adversarial_model_perturbation(length) for length in LENGTHS]
        return protocols.with_methods(protocols.published_networks(), methods)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """A line for each length, a panel for each network, and the table."""
        return draw_mismatch_sweep(
            grid, folder, "amp_experiment", setting="amp_size", called="AMP, step length ε"
        )
