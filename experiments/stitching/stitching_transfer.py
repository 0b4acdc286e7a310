"""Stitches trained on the attacked inputs of their donors: of the front, the end, both, or the robust ones.

Found: behind the robust front within 3 points of each other, whoever was attacked; behind the other, 3 to
16 points below training on the stitch's own attacked images. Two donors of ``stitching_mnist`` and forty
stitches of 150 steps: 17 minutes of processor time.
Command: python train.py -exp=stitching_transfer -n_threads=2
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.stitching.further import transfer_numbers
from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols, variants
from jaxrobust.studies.stitching.evaluations import transfer_accuracy


class stitching_transfer:
    """N with R in both directions after every activation, four ways to attack the training images."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """A clean and a robust network."""
        return [point for point in protocols.mnist_donors() if point["donor"] in ("N", "R")]

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every way, direction and cut."""
        return variants.transfer_stitches(points["train"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 of the stitch itself and of its donors, on 500 test images."""
        points = protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)
        stitches = [point for point in points if "cut" in point]
        run = dj.run(stitches, transfer_accuracy, store_key="transfer", **how)
        others = [point for point in points if "cut" not in point]
        return [*others, *run("{*}", protocols.MNIST_EVALUATION[0], n_samples=500)]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, the matrices, the table of transfer, and a page of all."""
        return write_report(grid, folder, "stitching_transfer", further=transfer_numbers(grid))
