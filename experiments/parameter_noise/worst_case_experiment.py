"""Accuracy under the worst parameters inside a box: five training methods on speech, ECG and images.

Expected (published): under an attack of size 0.1 on the cross-entropy the standard CNN falls to 17 % and the
one trained with beta 0.1 to 78 %; forward noise + beta and beta are best at every size.
Command: python train.py -exp=worst_case_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.worst_case import draw_worst_case
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.parameter_noise import protocols


class worst_case_experiment:
    """Five methods on three networks, two seeds each; attacks on two losses."""

    two_cores = protocols.TWO_CORES.evaluating(n_samples=1000).changed("speech_lsnn", n_samples=0)
    short = protocols.SHORT.evaluating(n_samples=250)

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty models, all of them in the mismatch experiment too."""
        return protocols.with_methods(protocols.published_networks(), protocols.ATTACKED_METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """One attack of ten steps on the whole test set for each size and loss."""
        return worst_case_sweep(grid, losses=["madry", "kl"], **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy and loss over the attack's size, a figure for each attacked loss."""
        losses = {"madry": "cross-entropy", "kl": "divergence from its own answers (KL)"}
        return [
            path
            for loss, name in losses.items()
            for path in draw_worst_case(
                dj.query(grid, "*", where={"attack_loss": loss}),
                folder,
                f"worst_case_experiment_{loss}",
                attacked=name,
            )
        ]
