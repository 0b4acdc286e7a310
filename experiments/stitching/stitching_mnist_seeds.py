"""``stitching_mnist`` three times, from other seeds: what of its profiles is chance?

Expected: what one seed shows, within the spread of the three. The first seed's networks are those of
``stitching_mnist`` and are trained once.
Command: python train.py -exp=stitching_mnist_seeds -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols


class stitching_mnist_seeds:
    """Nine donors, forty-five stitches trained on the task, and as many in closed form."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """Two clean networks and a robust one of each seed."""
        return [point for seed in range(3) for point in protocols.mnist_donors(seed)]

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every pair of one seed and every cut, trained and matched."""
        donors = points["train"]
        return protocols.mnist_stitches(donors) + protocols.mnist_matches(donors)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 and similarity to the donors, on 500 test images."""
        return protocols.evaluate(grid, protocols.MNIST_EVALUATION, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, a panel for each pair; the matrices; the tables, and a page of all."""
        return write_report(grid, folder, "stitching_mnist_seeds")
