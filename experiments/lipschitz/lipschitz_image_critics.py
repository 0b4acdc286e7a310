"""Critics between images of MNIST and those of a generator: BCOP and RKO with MaxMin and ReLU (table 4).

Expected: MaxMin above ReLU, as published on CIFAR-10, each at its best learning rate. BCOP above RKO,
published too, is not seen at this size: they differ by one to two standard errors. Sized for two cores: a
generator of width 16 trained for 2,000 steps (22 minutes), and eight critics of 600 steps (a minute each).
Command: python train.py -exp=lipschitz_image_critics -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.lipschitz.critics import draw_critics
from jaxrobust.studies.lipschitz.generated_images import generator_point, image_critics


class lipschitz_image_critics:
    """One generator; two methods, two activations, two learning rates, one seed."""

    stages = ("train", "critic")

    def train_grid(self) -> list[dict[str, Any]]:
        """The generator."""
        return [generator_point("mnist", width=16, n_steps=2000)]

    def critic_grid(self, points: Any) -> list[dict[str, Any]]:
        """Eight critics of the analytic pairs' size."""
        how = {"learning_rates": (1e-4, 1e-3), "channels": (32, 64), "n_steps": 600}
        return image_critics(points["train"][0], ("RKO", "BCOP"), **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Estimates over the training, a panel for each learning rate, and the table."""
        return draw_critics(grid, folder, "lipschitz_image_critics")
