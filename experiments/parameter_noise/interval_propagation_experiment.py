"""Accuracy that is proven for every network in a box, by intervals through the spiking dynamics.

Expected (published): forward noise and beta make more samples verifiable than standard training for boxes
below 0.0005; their membrane potentials lie further from zero.
Command: python train.py -exp=interval_propagation_experiment (-protocol=short: 500 test samples)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.intervals import draw_membrane_potentials, draw_verified_accuracy
from jaxrobust.studies.evaluations.activity import neuron_activity
from jaxrobust.studies.evaluations.verified import BOX_SIZES, verified_test_accuracy
from jaxrobust.studies.parameter_noise import protocols


class interval_propagation_experiment:
    """Four methods on the two spiking networks, two seeds each."""

    short = protocols.SHORT.evaluating(n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Sixteen models, all of them in the mismatch experiment too."""
        spiking = [point for point in protocols.published_networks() if point["architecture"] != "cnn"]
        return protocols.with_methods(
            spiking,
            [protocols.STANDARD, protocols.FORWARD_NOISE, protocols.BETA, protocols.FORWARD_NOISE_BETA],
        )

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Verified accuracy at six sizes, and the membrane potentials of a hundred test samples."""
        grid = dj.run(grid, neuron_activity, store_key="activity", **how)("{*}")
        points = dj.split([{"n_samples": 0, **point} for point in grid], "size", list(BOX_SIZES))
        return dj.run(points, verified_test_accuracy, store_key="verified", **how)(
            "{*}", "{size}", n_samples="{n_samples}"
        )

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Verified accuracy over the size of the box; histograms of membrane potentials."""
        smallest = dj.query(grid, "*", where={"size": BOX_SIZES[0]})
        return draw_verified_accuracy(grid, folder, "interval_propagation_experiment") + (
            draw_membrane_potentials(smallest, folder, "interval_propagation_experiment_potentials")
        )
