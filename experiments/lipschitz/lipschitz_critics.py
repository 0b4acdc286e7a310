"""Critics of Wasserstein distances whose value is known: OSSN, RKO and BCOP with MaxMin and ReLU (table 4).

Expected: on two shifted Gaussians, where a plane is the best critic, all methods come within a few percent;
on a point and a sphere, which need a cone, BCOP > RKO > OSSN and MaxMin above ReLU, as published on images.
Not run here: twelve critics of 600 steps, a few minutes on two cores. ``lipschitz_image_critics`` compares
generated images with real ones.
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
