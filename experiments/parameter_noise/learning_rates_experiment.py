"""Learning rates of short trainings: which keep what the full schedule shows? Three networks, two methods.

A short protocol is to leave the standard network as fragile, and forward noise + beta as far ahead of it, as
the published schedule does. From mismatch 0 to 0.5 standard networks fall from 81 to 57 % (speech), from 99
to 77 % (ECG) and from 91 to 61 % (images); those trained with forward noise + beta from 82 to 73 %, from 99
to 95 % and from 92 to 89 %. Not among the published experiments.
Command: python train.py -exp=learning_rates_experiment -protocol=short
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

METHODS = (protocols.STANDARD, protocols.FORWARD_NOISE_BETA)
STYLES = {
    "Standard, published rates": LineStyle("#4c84e6", 1.5),
    "Standard, higher rates": LineStyle("#4c84e6", 1.5, dashed=True),
    "Forward noise + beta, published rates": LineStyle("#fc033d", 1.5),
    "Forward noise + beta, higher rates": LineStyle("#fc033d", 1.5, dashed=True),
}


class learning_rates_experiment:
    """Two methods on three networks at the published rates and at those of the short protocol, seed 0."""

    short = protocols.SHORT.without("learning_rate").changed("speech_lsnn", keep="last")

    def train_grid(self) -> list[dict[str, Any]]:
        """Twelve models."""
        grid = [
            {**point, "learning_rate": rates, "rates": name}
            for point in protocols.published_networks()
            for name, rates in {
                "published": point["learning_rate"],
                "higher": protocols.SHORT.settings[point["architecture"]]["learning_rate"],
            }.items()
        ]
        return protocols.with_methods(grid, METHODS, seeds=(0,))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each mismatch level."""
        return mismatch_sweep(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over mismatch, a figure for each network."""
        named = [{**point, "line": f"{point['method']}, {point['rates']} rates"} for point in grid]
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
