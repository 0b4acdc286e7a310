"""Depth profiles of ResNet-18 on CIFAR-10, as published, for a GPU or a cluster.

Published (reference accuracies of the two robust networks, clean / AutoAttack): 84.59 / 55.54 % and 80.24 /
51.06 %. Expected: clean accuracy is kept at all depths; robust accuracy falls after the first layers and
comes back in the last ones, where the front's is recovered. Not run here: four networks of 300 epochs on a
GPU, and 32 stitches of 30 epochs.
Command: python train.py -exp=stitching_cifar10 -mode=slurm
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols

PAIRS = (("N", "N'"), ("N", "R"), ("R", "N"), ("R", "R'"))


class stitching_cifar10:
    """Two clean networks, one by Madry and one by TRADES; four pairs cut after each of eight blocks."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Four donors."""
        return protocols.cifar10_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every pair and block, trained for 30 epochs and matched."""
        return protocols.cifar10_stitches(points["train"], PAIRS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under FGSM and APGD on two losses, on all test images."""
        return protocols.evaluate(grid, protocols.CIFAR10_EVALUATION, 0, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, a panel for each pair; the matrices; the tables, and a page of all."""
        return write_report(grid, folder, "stitching_cifar10")
