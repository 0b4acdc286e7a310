"""How many directions a stitch needs: layers trained at a rank, and full layers truncated to it.

Expected: rank 2 carries the clean accuracy at an early cut, rank 4 at the last one; robustness needs rank 8,
and truncation twice the rank of training at it. Five minutes of processor time.
Command: python train.py -exp=stitching_low_rank -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.stitching.further import draw_ranks
from jaxrobust.studies.stitching import protocols, variants


class stitching_low_rank:
    """N with R in both directions at two cuts; ranks 1 to 16 and the full one."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """A clean and a robust network."""
        return [point for point in protocols.mnist_donors() if point["donor"] in ("N", "R")]

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Every rank, pair and cut."""
        return variants.low_rank_stitches(points["train"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 of trained and of truncated layers, on 500 test images."""
        attacks = protocols.MNIST_EVALUATION
        return variants.evaluate_truncated(protocols.evaluate(grid, attacks, 500, **how), attacks, 500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over the rank, and the table."""
        return draw_ranks(grid, folder, "stitching_low_rank")
