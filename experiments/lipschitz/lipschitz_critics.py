"""Critics of Wasserstein distances whose value is known: OSSN, RKO and BCOP with MaxMin and ReLU (table 4).

Found: on two shifted Gaussians, where a plane is the best critic, all methods come within 2 % of the
distance 3; on a point and a sphere, which need a cone, MaxMin reaches 2.66 with BCOP, 2.33 with OSSN and
2.29 with RKO, and ReLU 1.53, 1.22 and 1.40. Twelve critics of 600 steps take three minutes with two
workers. ``lipschitz_image_critics`` compares generated images with real ones.
Command: python train.py -exp=lipschitz_critics -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.critics import draw_critics
from jaxrobust.measures.wasserstein import PointAndSphere, ShiftedGaussians
from jaxrobust.studies.lipschitz.critics import critics


class lipschitz_critics:
    """Two pairs of distributions of 8x8 pixels, three methods, two activations, one seed."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Twelve critics."""
        return critics([ShiftedGaussians(), PointAndSphere()], ["OSSN", "RKO", "BCOP"])

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Estimates over the training, and the table beside the published one."""
        return draw_critics(grid, folder, "lipschitz_critics")
