"""Two attacks on the parameters: the published protocol and the suite that tries harder (ours only).

Expected: the suite never leaves a higher accuracy than the published attack does, and much less than that one
in small boxes and on standard networks, whose one start and ten sign steps find little.
Command: python train.py -exp=attack_suite_experiment (-protocol=short for two cores)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.attack_suites import draw_attack_suites
from jaxrobust.studies.evaluations.worst_case import STANDARD_SIZES, with_suite, worst_case_sweep
from jaxrobust.studies.parameter_noise import protocols


class attack_suite_experiment:
    """Five methods on three networks, two seeds each; three sizes of the box."""

    # The published networks, attacked on fewer samples: the suite takes 80 gradients of all of them.
    thousand_samples = protocols.Protocol(
        {name: {"n_samples": 1000} for name in ("speech_lsnn", "ecg_lsnn", "cnn")}
    )
    # Of the published schedule, the networks whose weights ship.
    shipped_weights = protocols.Protocol(
        {"cnn": {"n_samples": 1000}},
        seeds=(0,),
        only={"architecture": ("cnn",), "method": ("Standard", "Forward noise + beta")},
    )
    two_cores = protocols.TWO_CORES.evaluating(n_samples=1000).changed("speech_lsnn", n_samples=0)
    # The networks whose weights ship.
    short = replace(
        protocols.SHORT.evaluating(n_samples=1000).changed("speech_lsnn", n_samples=0),
        only={"method": ("Standard", "Forward noise + beta")},
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty models, those of the worst-case experiment."""
        return protocols.with_methods(protocols.published_networks(), protocols.ATTACKED_METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Both attacks at each size, on the same test samples."""
        return with_suite(worst_case_sweep(grid, STANDARD_SIZES, **how), **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy after either attack, one above the other."""
        return draw_attack_suites(grid, folder, "attack_suite_experiment")
