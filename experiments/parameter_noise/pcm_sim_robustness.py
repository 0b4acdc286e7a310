"""ResNet32 in phase-change memory, from seconds to a year after programming (Figures 4 and S14).

Expected (published): 91.5 to 93.5 % from 25 s to a year, with attacks above noise alone at all times, and
above the network that was trained without noise for good settings. The published simulator is not public; its
noise model is (jaxrobust/robustness/phase_change_memory.py), without converters and tiles.
Command: python train.py -exp=pcm_sim_robustness (-protocol=short for two cores: ResNet8, few values)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.phase_change import draw_lines, method_and_attack
from jaxrobust.perturbations.phase_change_memory import PUBLISHED_CLIP
from jaxrobust.studies.evaluations.mismatch import phase_change_sweep
from jaxrobust.studies.parameter_noise import protocols

NOISE = 0.11
BETAS = (0.01, 0.025, 0.05, 0.1)
SIZES = (0.01, 0.025, 0.05, 0.1)


class pcm_sim_robustness:
    """Attacks of sixteen kinds on top of noise, noise alone and neither."""

    short = replace(
        protocols.SHORT_SWEEP,
        only={"beta_robustness": (0.0, 0.05, 0.1), "attack_size_mismatch": (0.0, 0.025, 0.1)},
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Eighteen models."""
        noisy = protocols.tuned_resnets([NOISE], [0.0], [0.0])
        return [protocols.plain_resnet(), *noisy, *protocols.tuned_resnets([NOISE], BETAS, SIZES)]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 25 chips at each time."""
        return phase_change_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over time, a panel for each weight of the robust term."""
        betas = sorted({point["beta_robustness"] for point in grid} - {0.0})
        return draw_lines(
            {
                f"{letter}  β = {beta:g}": dj.query(
                    grid, "*", where={"beta_robustness": lambda found, beta=beta: found in (0.0, beta)}
                )
                for letter, beta in zip("abcd", betas, strict=False)
            },
            folder,
            "pcm_sim_robustness",
            x="time",
            x_label="Time after programming (s)",
            log_x=True,
            line=method_and_attack,
            explanation=f"Mean accuracy in simulated phase-change memory; trained with noise η = {NOISE:g} "
            f"relative to each weight; weights clipped to {PUBLISHED_CLIP:g} standard deviations before "
            "programming.",
        )
