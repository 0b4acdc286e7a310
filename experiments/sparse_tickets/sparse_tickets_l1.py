"""Does an L1 penalty on the kept weights change what pruning does? The published weights, digits.

With the penalty's weight 0 these are trainings of ``sparse_tickets_published``, and shared with it: natural
and FGSM training, five trials, two strategies of 20 rounds: 820 trainings of 50,040 steps, of which half are
shared. For a GPU or a cluster.
Expected: the paper has no numbers of this grid.
Command: python train.py -exp=sparse_tickets_l1 -mode=slurm
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.studies.sparse_tickets import measured
from jaxrobust.studies.sparse_tickets.protocol import L1_GRID, PUBLISHED_PRUNING, STRATEGIES, dense_points
from jaxrobust.studies.sparse_tickets.rounds import round_stages

N_STEPS, N_ROUNDS, SEEDS = 50_040, 20, (0, 1, 2, 3, 4)
METHODS = ("natural", "fgsm")
COMPARED = (STRATEGIES["original"], STRATEGIES["random"])


class sparse_tickets_l1:
    """Two weights of the penalty, each with the strategies of the published script."""

    stages = ("train", *round_stages(N_ROUNDS, PUBLISHED_PRUNING, dict.fromkeys(METHODS, COMPARED)))

    def train_grid(self) -> list[dict[str, Any]]:
        """Twenty dense networks."""
        return [p for l1 in L1_GRID for p in dense_points("mnist", METHODS, SEEDS, N_STEPS, l1=l1)]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Everything under FGSM."""
        grid = measured.labeled(grid)
        return [*grid, *measured.published_accuracy(grid, **how)]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Figures and tables, one set for each weight of the penalty."""
        return [
            path
            for l1 in dict.fromkeys(point["l1"] for point in grid)
            for path in draw_all([p for p in grid if p["l1"] == l1], folder, f"sparse_tickets_l1_{l1:g}")
        ]
