"""Certified accuracy of Lipschitz networks on MNIST at L2 radius 1.58 (Li et al. 2019, tables 1 and 2).

Expected of the small network with BCOP: 97.5 % clean, 45.8 % certified, 78.0 % under PGD (published).
Full protocol (five seeds, 200 epochs, all layouts): for a GPU or a cluster.
Command: python train.py -exp=lipschitz_mnist -mode=slurm
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.comparison import compare
from jaxrobust.figures.lipschitz.published import SMALL_RADII
from jaxrobust.figures.lipschitz.published_tables import published_tables
from jaxrobust.studies.lipschitz.protocols import PUBLISHED_METHODS, TASKS, comparison
from jaxrobust.studies.lipschitz.robustness import robustness_sweep, small_radius_sweep


class lipschitz_mnist:
    """Fully connected, small and large networks, six methods, five seeds."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Sixty-five models."""
        return comparison(TASKS["mnist"], ("fc", "small", "large"), PUBLISHED_METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Certificates and attacks on all test images, Square with 1,000 queries; also at a small radius."""
        points = robustness_sweep(grid, n_queries=1000, **how)
        return small_radius_sweep(points, SMALL_RADII["mnist"], **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Certified accuracy over the radius, and the tables beside the published ones (1 to 3, 7, 8)."""
        return compare(grid, folder, "lipschitz_mnist", published_tables(grid))
