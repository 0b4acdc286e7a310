"""An attack against random corners of the same box, on CNNs trained with a growing weight of the robust term.

Expected: the larger beta, the closer the attack's accuracy is to that of random corners.
Command: python train.py -exp=methods_random_vary_beta_experiment (-protocol=short: 1000 test samples)
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.random_corners import draw_attack_against_random
from jaxrobust.studies.evaluations.mismatch import corner_sweep
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.parameter_noise import protocols

# The published sizes.
SIZES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


class methods_random_vary_beta_experiment:
    """Four CNNs, one for each beta."""

    short = protocols.SHORT.changed("cnn", n_epochs=(0.32, 0.1), eval_step_interval=75)

    def train_grid(self) -> list[dict[str, Any]]:
        """Four models; of the published protocol the first is in the mismatch experiment too."""
        return protocols.with_methods(
            [protocols.published_cnn()],
            [protocols.STANDARD, protocols.beta(0.1), protocols.beta(0.3), protocols.beta(0.5)],
            seeds=[0],
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """One attack of ten steps and five random corners at each size."""
        return corner_sweep(worst_case_sweep(grid, SIZES, **how), **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Training above, accuracy over the size of the box below, a column a network."""
        return draw_attack_against_random(grid, folder, "methods_random_vary_beta_experiment")
