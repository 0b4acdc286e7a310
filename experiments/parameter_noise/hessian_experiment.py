"""Eigenvalues of the Hessian of the loss: how curved the minima are that each training method finds.

Expected: robust training leaves fewer and smaller large eigenvalues than standard training.
Command: python train.py -exp=hessian_experiment (-protocol=short: 100 training samples instead of 500)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.spectra import draw_spectra
from jaxrobust.studies.evaluations.spectrum import loss_spectrum
from jaxrobust.studies.parameter_noise import protocols


class hessian_experiment:
    """Six methods on three networks, two seeds each."""

    two_cores = protocols.TWO_CORES.evaluating(n_samples=100)
    short = protocols.SHORT.evaluating(n_samples=100)

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty-six models, all of them in the mismatch experiment too."""
        return protocols.with_methods(protocols.published_networks(), protocols.METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Ninety Lanczos steps on training samples from one random vector."""
        points = [{"n_samples": 500, **point} for point in grid]
        return dj.run(points, loss_spectrum, store_key="spectrum", **how)("{*}", n_samples="{n_samples}")

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Densities of eigenvalues, and the table of the largest."""
        return draw_spectra(grid, folder, "hessian_experiment")
