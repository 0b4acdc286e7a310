"""Learning rates of short trainings: which keep what the full schedule shows? ECG and speech, two methods.

A short protocol is to leave the standard network as fragile, and forward noise + beta as far ahead of it, as
the published schedule does: on ECG 99 % fall to 77 % at mismatch 0.5, and with the robust method to 95 %; on
speech 81 % fall to 57 %, and 82 % to 73 %. Not among the published experiments.
Command: python train.py -exp=learning_rates_experiment -protocol=short
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

RATES = {"published rates": (1e-3, 1e-4), "five times those": (5e-3, 5e-4)}
METHODS = (protocols.STANDARD, protocols.FORWARD_NOISE_BETA)
STYLES = {
    "Standard, published rates": LineStyle("#4c84e6", 1.5),
    "Standard, five times those": LineStyle("#4c84e6", 1.5, dashed=True),
    "Forward noise + beta, published rates": LineStyle("#fc033d", 1.5),
    "Forward noise + beta, five times those": LineStyle("#fc033d", 1.5, dashed=True),
}


class learning_rates_experiment:
    """Two methods on two spiking networks at two learning rates, seed 0."""

    short = protocols.SHORT.without("learning_rate").changed("speech_lsnn", keep="last")

    def train_grid(self) -> list[dict[str, Any]]:
        """Eight models."""
        spiking = [point for point in protocols.published_networks() if point["architecture"] != "cnn"]
        grid = dj.split(spiking, "learning_rate", list(RATES.values()))
        return protocols.with_methods(grid, METHODS, seeds=(0,))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over mismatch, a figure for each network."""
        names = {rates: name for name, rates in RATES.items()}
        named = [
            {**point, "line": f"{point['method']}, {names[tuple(point['learning_rate'])]}"} for point in grid
        ]
        return [
            path
            for architecture in dict.fromkeys(point["architecture"] for point in named)
            for path in draw_accuracy(
                [point for point in named if point["architecture"] == architecture],
                folder,
                f"learning_rates_experiment_{architecture}",
                x="level",
                y=lambda point: point["accuracies"],
                x_label="Mismatch level ζ",
                line="line",
                styles=STYLES,
                note="Short trainings at two learning rates, on devices with mismatch.",
            )
        ]
