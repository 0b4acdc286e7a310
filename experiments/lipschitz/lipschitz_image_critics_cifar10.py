"""Critics between images of CIFAR-10 and those of a generator, with the published protocol (table 4).

Published: with MaxMin 3.29 (OSSN), 4.95 (RKO) and 5.34 (BCOP), with ReLU 3.07, 4.20 and 4.39, in units of
images enlarged to 64x64, twice their own; of another generator. Not run here: a generator trained for 20,000
steps and 120 critics of 25,600 steps, for a GPU or a cluster.
Command: python train.py -exp=lipschitz_image_critics_cifar10 -mode=slurm
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.critics import draw_critics
from jaxrobust.studies.lipschitz.generated_images import generator_point, image_critics


class lipschitz_image_critics_cifar10:
    """One generator; three methods, two activations, four learning rates, five seeds."""

    stages = ("train", "critic")

    def train_grid(self) -> list[dict[str, Any]]:
        """The generator."""
        return [generator_point("cifar10")]

    def critic_grid(self, points: Any) -> list[dict[str, Any]]:
        """A hundred and twenty critics of images enlarged to 64x64."""
        how = {"learning_rates": (1e-5, 1e-4, 1e-3, 1e-2), "upsample": 2, "seeds": range(5)}
        return image_critics(points["train"][0], ("OSSN", "RKO", "BCOP"), **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Estimates over the training, a panel for each learning rate, and the table."""
        return draw_critics(grid, folder, "lipschitz_image_critics_cifar10")
