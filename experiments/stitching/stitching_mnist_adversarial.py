"""The stitches of ``stitching_mnist`` trained on attacked inputs: half of each batch, 150 steps.

Expected (one seed): a higher robust accuracy than stitches trained on clean inputs for as long, at every cut,
at about the same clean accuracy; two networks that are not robust make a stitch more robust than either.
Command: python train.py -exp=stitching_mnist_adversarial -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols
from jaxrobust.training.methods import AttackedSamples, Standard

METHODS = (Standard(), AttackedSamples(Standard(), protocols.MNIST_ATTACK, share=0.5))


class stitching_mnist_adversarial:
    """The donors of ``stitching_mnist``, and thirty stitches: clean and adversarial, 150 steps each."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Two clean networks and a robust one."""
        return protocols.mnist_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every pair and cut, by both methods."""
        donors = points["train"]
        return [point for method in METHODS for point in protocols.mnist_stitches(donors, method, 150)]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 and similarity to the donors, on 500 test images."""
        return protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, a panel for each pair; the matrices; the tables, and a page of all."""
        return write_report(grid, folder, "stitching_mnist_adversarial")
