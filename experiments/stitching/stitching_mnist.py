"""Depth profiles of stitching on MNIST: clean and robust accuracy of N→N', N→R and R→N, cut by cut.

Expected (one seed): stitches keep the clean accuracy at almost every cut; the last cut recovers the
robustness of the front in either direction (83 of 85 % for R→N, 26 of 27 % for N→R); R→N becomes more robust
with depth, N→R less. docs/stitching.md has the table.
Command: python train.py -exp=stitching_mnist -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols


class stitching_mnist:
    """Three donors, fifteen stitches trained on the task, and as many in closed form."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Two clean networks and a robust one."""
        return protocols.mnist_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every pair and cut, trained and matched."""
        donors = points["train"]
        return protocols.mnist_stitches(donors) + protocols.mnist_matches(donors)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 and similarity to the donors, on 500 test images."""
        return protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, a panel for each pair; the matrices; the tables, and a page of all."""
        return write_report(grid, folder, "stitching_mnist")
