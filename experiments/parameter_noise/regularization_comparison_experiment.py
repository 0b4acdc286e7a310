"""Regularisers and optimizers that are said to generalise, under mismatch, on speech.

Expected: none of them comes near robust training at large mismatch; Entropy-SGD and ABCD do not beat standard
training. To the fourteen published models comes ABCD.
Command: python train.py -exp=regularization_comparison_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.dots import draw_dots
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import speech_lsnn

_SGD = {"beta_robustness": 0.0, "optimizer": "sgd", "learning_rate": (0.01, 0.001)}
METHODS: tuple[protocols.Method, ...] = (
    protocols.STANDARD,
    {"method": "SGD, batches of 8", **_SGD, "batch_size": 8, "n_epochs": (200.0, 56.0)},
    {"method": "SGD, batches of 128", **_SGD, "batch_size": 128, "n_epochs": (200.0, 88.0)},
    *(
        {"method": f"Dropout {share:g}", "beta_robustness": 0.0, "dropout_prob": share}
        for share in (0.3, 0.5, 0.7)
    ),
    *(
        {"method": f"L2 {weight:g}", "beta_robustness": 0.0, "l2_weight_decay": weight}
        for weight in (10.0, 1.0, 0.1)
    ),
    *(
        {"method": f"L1 {weight:g}", "beta_robustness": 0.0, "l1_weight_decay": weight}
        for weight in (0.01, 0.001, 0.0001)
    ),
    {
        "method": "Entropy-SGD",
        "beta_robustness": 0.0,
        "optimizer": "esgd",
        "n_epochs": (40.0, 10.0),
        "learning_rate": (0.1, 0.01),
    },
    {"method": "ABCD", "beta_robustness": 0.0, "optimizer": "abcd", "n_epochs": (40.0, 10.0)},
    protocols.FORWARD_NOISE_BETA,
)


class regularization_comparison_experiment:
    """Fourteen regularisers and optimizers, and robust training."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Fifteen models."""
        return protocols.with_methods([speech_lsnn.make()], METHODS, seeds=[0])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """A row for each method, a dot for each level."""
        return draw_dots(grid, folder, "regularization_comparison_experiment")
