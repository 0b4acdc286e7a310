"""The published grid of the sparse tickets: two data sets, two attacks, three strategies, five trials.

The published scripts run 2,520 trainings of 50,040 steps. Here they are 1,830: a natural training does not
depend on the attack that is measured, and round 0 not on the strategy. About 92 million steps; for a GPU or a
cluster (python train.py -exp=sparse_tickets_published -mode=slurm, or -models_per_job=10 on one GPU).
Expected (published, digits): 95.23 % under FGSM at 3.6 % of the weights, 94.30 % dense; under PGD 48.81 % and
45.32 %.
The released code sets "original" tickets back to the end of the dense training, and not to the start:
``sparse_tickets`` has both.
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.studies.sparse_tickets import measured
from jaxrobust.studies.sparse_tickets.protocol import (
    PUBLISHED_PRUNING,
    STRATEGIES,
    dense_points,
)
from jaxrobust.studies.sparse_tickets.rounds import round_stages

N_STEPS, N_ROUNDS, SEEDS = 50_040, 20, (0, 1, 2, 3, 4)
METHODS = ("natural", "fgsm", "pgd")
PUBLISHED = tuple(STRATEGIES[name] for name in ("original", "random", "continued"))


class sparse_tickets_published:
    """The grid of the paper, each training once."""

    stages = ("train", *round_stages(N_ROUNDS, PUBLISHED_PRUNING, dict.fromkeys(METHODS, PUBLISHED)))

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty dense networks."""
        return [
            point
            for dataset in ("mnist", "fashion_mnist")
            for point in dense_points(dataset, METHODS, SEEDS, N_STEPS)
        ]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Everything under both published attacks."""
        grid = measured.labeled(grid)
        return [*grid, *measured.published_accuracy(grid, ("FGSM", "PGD"), **how)]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Figures and tables, one set for each data set."""
        return [
            path
            for dataset in dict.fromkeys(point["dataset"] for point in grid)
            for path in draw_all(
                [point for point in grid if point["dataset"] == dataset], folder, f"sparse_tickets_{dataset}"
            )
        ]
