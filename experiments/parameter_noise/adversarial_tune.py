"""ResNet32 tuned with noise and attacks, at the noise that it will meet (Figure 5).

Expected (published): with an attack added, networks are at least as accurate under noise as with noise alone,
for both kinds of noise; the attack size matters more than its weight. All published networks start from one
pretrained network. Here each is trained from the beginning, and the attack sets in after the first phase.
Command: python train.py -exp=adversarial_tune (-protocol=short for two cores: ResNet8, few values)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.phase_change import draw_lines, method_and_attack
from jaxrobust.studies.evaluations.mismatch import weight_noise_sweep
from jaxrobust.studies.parameter_noise import protocols

BETAS = (0.01, 0.025, 0.05, 0.1)
SIZES = (0.01, 0.025, 0.05, 0.1)
MODES = {"ind": "relative to each weight", "range": "relative to the largest weight"}


class adversarial_tune:
    """Five noise levels in two modes, with and without attacks of sixteen kinds, two seeds each."""

    short = replace(
        protocols.SHORT_SWEEP,
        only={
            "noisy_forward_std": (0.0, 0.037, 0.11),
            "beta_robustness": (0.0, 0.05),
            "attack_size_mismatch": (0.0, 0.025, 0.1),
        },
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """The published 320 and what they are compared with: 20 with noise alone, 2 without."""
        noisy = protocols.tuned_resnets(protocols.NOISE_LEVELS, [0.0], [0.0], modes=list(MODES))
        attacked = protocols.tuned_resnets(protocols.NOISE_LEVELS, BETAS, SIZES, modes=list(MODES))
        return dj.split([protocols.plain_resnet(), *noisy, *attacked], "seed", [0, 1])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 25 devices at the noise of the training; of networks without noise at every level."""
        levels = sorted({point["noisy_forward_std"] for point in grid} - {0.0})
        points = []
        for mode in MODES:
            without = [point for point in grid if not point["noisy_forward_std"]]
            points += dj.split(dj.configure(without, {"noise_mode": mode}), "noise", levels)
            points += [
                {**point, "noise_mode": mode, "noise": point["noisy_forward_std"]}
                for point in grid
                if point["noisy_forward_std"] and point["noisy_forward_mode"] == mode
            ]
        return weight_noise_sweep(points, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over noise, a panel for each mode and a line for each size of the attack."""
        return draw_lines(
            {
                f"{letter}  Noise {what}": dj.query(grid, "*", where={"noise_mode": mode})
                for letter, (mode, what) in zip("ab", MODES.items(), strict=True)
            },
            folder,
            "adversarial_tune",
            x="noise",
            x_label="Noise in training and test, η",
            line=method_and_attack,
            explanation="Mean accuracy under the noise of the training (no noise: trained without); lines: "
            "mean over networks and weights β of the robust term, bands: smallest to largest.",
        )
