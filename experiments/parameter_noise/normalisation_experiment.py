"""Normalization by batch statistics, as published, or by running statistics: what does the CNN withstand?

Expected: far more mismatch and larger attacks with the statistics of the batch, which are those of the
perturbed network; a device that sees one image at a time has none but running statistics. Not among the
published experiments.
Command: python train.py -exp=normalisation_experiment (-protocol=short: fewer epochs)
"""

from functools import partial
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import cnn

STATISTICS = {"batch": "statistics of the batch", "running": "running statistics"}
STYLES = {
    f"Standard, {STATISTICS['batch']}": LineStyle("#4c84e6", 1.5),
    f"Standard, {STATISTICS['running']}": LineStyle("#4c84e6", 1.5, dashed=True),
    f"Forward noise + beta, {STATISTICS['batch']}": LineStyle("#fc033d", 1.5),
    f"Forward noise + beta, {STATISTICS['running']}": LineStyle("#fc033d", 1.5, dashed=True),
}
SIZES = (0.0, 0.01, 0.05, 0.1, 0.2)


class normalisation_experiment:
    """Two methods with two kinds of normalisation, seed 0."""

    short = protocols.SHORT.changed("cnn", n_epochs=(0.32, 0.1), eval_step_interval=75, n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Four models."""
        grid = dj.split([cnn.make()], "normalisation", list(STATISTICS))
        return protocols.with_methods(grid, [protocols.STANDARD, protocols.FORWARD_NOISE_BETA], seeds=(0,))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under mismatch, and under attacks on the cross-entropy."""
        attacked = worst_case_sweep(grid, SIZES, **how)
        return [
            *({**point, "under": "mismatch"} for point in mismatch_sweep(grid, **how)),
            *({**point, "under": "attack"} for point in attacked),
        ]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over mismatch, and over the size of the attack."""
        named = [
            {**point, "line": f"{point['method']}, {STATISTICS[point['normalisation']]}"} for point in grid
        ]
        draw = partial(draw_accuracy, folder=folder, line="line", styles=STYLES)
        return draw(
            [point for point in named if point["under"] == "mismatch"],
            name="normalisation_experiment_mismatch",
            x="level",
            y=lambda point: point["accuracies"],
            x_label="Mismatch level ζ",
            note="Devices with mismatch.",
        ) + draw(
            [point for point in named if point["under"] == "attack"],
            name="normalisation_experiment_attack",
            x="size",
            y=lambda point: [point["worst_case"]["accuracy"]],
            x_label="Attack size ζ (relative to each parameter)",
            note="Attack on the parameters with ten steps that increase the cross-entropy.",
        )
