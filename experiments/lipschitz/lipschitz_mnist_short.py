"""The small column of MNIST, shortened: four methods, one seed, 45 epochs, for two cores.

Found at L2 radius 1.58: BCOP certifies 43.8 %, RKO 41.3 %, OSSN 40.5 % and SVCM 19.9 % of the test images;
published with 200 epochs: 45.8, 43.6, 43.0 and 28.9 %. 46 minutes of processor time.
Command: python train.py -exp=lipschitz_mnist_short -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.comparison import compare
from jaxrobust.studies.lipschitz.protocols import TASKS, comparison
from jaxrobust.studies.lipschitz.robustness import robustness_sweep


class lipschitz_mnist_short:
    """The small network with BCOP, RKO, OSSN and SVCM."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Four models."""
        methods = ("BCOP", "RKO", "OSSN", "SVCM")
        return comparison(TASKS["mnist"], ("small",), methods, seeds=(0,), n_epochs=45)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Certificates of all test images; attacks on 1,000 of them."""
        return robustness_sweep(grid, n_steps=100, n_attacked=1000, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Certified accuracy over the radius, and the table beside the published one."""
        return compare(grid, folder, "lipschitz_mnist_short")
