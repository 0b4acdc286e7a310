"""Controls of stitching on MNIST: a network with itself, an untrained front, shuffled labels.

Expected: a network stitched to itself answers as before; behind an untrained front the clean accuracy falls
with depth, from 94 to 42 %; layers trained on shuffled labels stay at 14 to 25 %. Four minutes of processor
time.
Command: python train.py -exp=stitching_controls -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols, variants


class stitching_controls:
    """Stitches of a network with itself, behind an untrained front, and trained on shuffled labels."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Two clean networks and one that is not trained."""
        return variants.control_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """The controls after every activation."""
        return variants.control_stitches(points["train"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10, similarity and matrices, on 500 test images."""
        return protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, the matrices, the tables, and a page of all."""
        return write_report(grid, folder, "stitching_controls")
