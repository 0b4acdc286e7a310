"""Networks trained under attack on their parameters, stitched with standard ones: clean, and under mismatch.

Nobody has stitched these. The question: does robustness against deviating parameters come from the front, as
that against attacked inputs does, and does it survive a layer that was trained without it? The layer's own
parameters deviate too. Found: it comes with the layers that were trained for it (docs/stitching.md). A
quarter of an hour of processor time.
Command: python train.py -exp=stitching_parameters -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.further import mismatch_measures, mismatch_numbers
from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols, variants


class stitching_parameters:
    """N and N' are standard, P was trained by the first study's method; N→N', N→P and P→N."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Two standard networks, and one trained under attack on its parameters."""
        return variants.parameter_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every pair and activation, trained and matched."""
        return variants.parameter_stitches(points["train"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10, and of ten devices per level of mismatch, on 500 test images."""
        points = protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)
        return variants.evaluate_mismatch(points, 10, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth without and with mismatch, the matrices, tables, and a page of all."""
        measures, numbers = mismatch_measures(grid), mismatch_numbers(grid)
        return write_report(grid, folder, "stitching_parameters", measures, numbers)
