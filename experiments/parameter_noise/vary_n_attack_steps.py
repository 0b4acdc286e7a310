"""ResNet32 tuned with noise and attacks of one to seven steps (Figure S13).

Expected (published): a few steps are enough; the accuracy under noise does not depend on their number.
Command: python train.py -exp=vary_n_attack_steps (-protocol=short for two cores: ResNet8, few values)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.phase_change import draw_lines
from jaxrobust.studies.evaluations.mismatch import weight_noise_sweep
from jaxrobust.studies.parameter_noise import protocols


class vary_n_attack_steps:
    """One to seven steps at five noise levels, two seeds each."""

    short = replace(
        protocols.SHORT_SWEEP, only={"noisy_forward_std": (0.037, 0.11), "n_attack_steps": (1, 3, 7)}
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Seventy models."""
        grid = protocols.tuned_resnets(protocols.NOISE_LEVELS, [0.05], [0.1])
        return dj.split(dj.split(grid, "n_attack_steps", list(range(1, 8))), "seed", [0, 1])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 25 devices at the noise of the training."""
        points = [{**point, "noise_mode": "ind", "noise": point["noisy_forward_std"]} for point in grid]
        return weight_noise_sweep(points, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over the number of steps, a line for each noise level."""
        return draw_lines(
            {"Noise relative to each weight": grid},
            folder,
            "vary_n_attack_steps",
            x="n_attack_steps",
            x_label="Steps of the attack in training",
            line=lambda point: f"{point['noise']:g}",
            line_title="Noise in training and test, η",
            explanation="Mean accuracy under the noise of the training; lines: mean over networks, bands: "
            "smallest to largest. Attack size ζ = 0.1, weight β = 0.05.",
        )
