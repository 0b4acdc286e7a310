"""Stitching across tasks: MNIST and Fashion-MNIST, clean and robust fronts, trained on the front's task.

Expected: at the last cut the accuracy of the front alone on its task (97 and 84 %), whatever the end was
trained on, and the front's robustness; 24 to 38 % at the first cut. Six minutes of processor time.
Command: python train.py -exp=stitching_tasks -n_threads=2
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.stitching.further import other_task_numbers
from jaxrobust.figures.stitching.report import write_report
from jaxrobust.studies.stitching import protocols, variants
from jaxrobust.studies.stitching.evaluations import other_task_accuracy


class stitching_tasks:
    """Fronts and ends of two tasks; every stitch is measured on both."""

    stages = ("train", "stitch")

    def train_grid(self) -> list[dict[str, Any]]:
        """A clean and a robust network of each task."""
        return variants.task_donors()

    def stitch_grid(self, points: Any) -> list[dict[str, Any]]:
        """Both directions, clean and robust fronts, after every activation."""
        return variants.task_stitches(points["train"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under PGD-10 on both tasks, on 500 test images each."""
        attacks = protocols.MNIST_EVALUATION
        points = protocols.evaluate(grid, attacks, 500, **how)
        stitches = [point for point in points if "cut" in point]
        run = dj.run(stitches, other_task_accuracy, store_key="other", **how)
        others = [point for point in points if "cut" not in point]
        return [*others, *run("{*}", "{other_task}", attacks, n_samples=500)]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over depth, the matrices, tables for both tasks, and a page of all."""
        return write_report(grid, folder, "stitching_tasks", further=other_task_numbers(grid))
