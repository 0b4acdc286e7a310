"""The small column of CIFAR-10, shortened: BCOP and RKO, one seed, 12 epochs of 200, for two cores.

Found: 55.1 % clean and 41.2 % certified with BCOP, 53.1 % and 39.9 % with RKO; published with 200 epochs:
64.5 and 50.0 %, 61.8 and 47.5 %. Ten minutes with two workers.
Command: python train.py -exp=lipschitz_cifar10_short -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.comparison import compare
from jaxrobust.studies.lipschitz.protocols import TASKS, comparison
from jaxrobust.studies.lipschitz.robustness import robustness_sweep


class lipschitz_cifar10_short:
    """The small network with BCOP and RKO."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Two models; the rate falls to the last one of the published schedule, only sooner."""
        return comparison(TASKS["cifar10"], ("small",), ("BCOP", "RKO"), seeds=(0,), n_epochs=12)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Certificates of all test images; attacks on 500 of them."""
        return robustness_sweep(grid, n_steps=100, n_attacked=500, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Certified accuracy over the radius, and the table beside the published one."""
        return compare(grid, folder, "lipschitz_cifar10_short")
