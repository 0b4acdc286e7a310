"""Matrix products in bfloat16, as accelerators are fastest at: what do they cost? ECG, two methods.

Expected: next to nothing with mismatch or without, as spikes are exact in bfloat16 and its rounding of
weights (up to 0.4 %) is far smaller than mismatch. Not among the published experiments.
Command: python train.py -exp=precision_experiment (-protocol=short: fewer epochs)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import ecg_lsnn

SEEDS = (0, 1)
STYLES = {
    "Standard, float32": LineStyle("#4c84e6", 1.5),
    "Standard, bfloat16": LineStyle("#4c84e6", 1.5, dashed=True),
    "Forward noise + beta, float32": LineStyle("#fc033d", 1.5),
    "Forward noise + beta, bfloat16": LineStyle("#fc033d", 1.5, dashed=True),
}


class precision_experiment:
    """Two methods in two precisions, two seeds each."""

    short = replace(protocols.SHORT, seeds=SEEDS).changed(
        "ecg_lsnn", n_epochs=(3.5, 1.0), eval_step_interval=80
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Eight models."""
        grid = dj.split([ecg_lsnn.make() | {"split": "published"}], "precision", ["float32", "bfloat16"])
        return protocols.with_methods(grid, [protocols.STANDARD, protocols.FORWARD_NOISE_BETA], SEEDS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over mismatch."""
        return draw_accuracy(
            [{**point, "line": f"{point['method']}, {point['precision']}"} for point in grid],
            folder,
            "precision_experiment",
            x="level",
            y=lambda point: point["accuracies"],
            x_label="Mismatch level ζ",
            line="line",
            styles=STYLES,
            note="Precision of the products with w_in and w_rec, in training and after it.",
        )
