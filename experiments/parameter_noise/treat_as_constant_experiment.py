"""Whether the gradient goes through the attack: held constant or not, with three divergences, on speech.

Expected: with the gradient through the attack networks withstand attacks better at the same accuracy.
Command: python train.py -exp=treat_as_constant_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.divergences import DIVERGENCES
from jaxrobust.figures.parameter_noise.training import Measured, draw_training_and
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import speech_lsnn


class treat_as_constant_experiment:
    """Three divergences, with the attacked parameters held constant or not."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Six models."""
        grid = [speech_lsnn.make() | {"beta_robustness": 0.125, "attack_size_mismatch": 0.3}]
        grid = dj.split(grid, "treat_as_constant", [True, False])
        return dj.split(grid, "boundary_loss", ["kl", "reverse_kl", "l2"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """One attack of ten steps on the cross-entropy at each size."""
        return worst_case_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Validation accuracy over training, and test accuracy under attack."""
        styles = {}
        points = []
        for point in grid:
            divergence = DIVERGENCES[point["boundary_loss"]]
            is_constant = point["treat_as_constant"]
            label = f"{divergence.name}, {'constant' if is_constant else 'through the attack'}"
            styles[label] = LineStyle(divergence.style.colour, 1.5, dashed=is_constant)
            points.append({**point, "term": label})
        return draw_training_and(
            Measured.under_attack(),
            points,
            folder,
            "treat_as_constant_experiment",
            line="term",
            styles=styles,
        )
