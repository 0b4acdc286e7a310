"""Do pruned networks keep their adversarial robustness? MNIST, FGSM, 18 rounds, on two cores.

A thirty-third of the published schedule (1,500 steps per round); ``sparse_tickets_published`` has all of it,
``sparse_tickets_controls`` the other strategies, and what the paper lacks.
Expected (five seeds): under FGSM the dense network has 86.9 %; at 1.8 % of the weights, tickets rewound to
their start 84.8 % and random weights under such masks 64.5 %. Natural training (two seeds) leaves 2.4 %. Less
than 15 minutes with two workers.
Command: python train.py -exp=sparse_tickets -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.studies.sparse_tickets import measured
from jaxrobust.studies.sparse_tickets.protocol import (
    PUBLISHED_PRUNING,
    REPORTED,
    STRATEGIES,
    TWO_CORE_ROUNDS,
    two_core_points,
)
from jaxrobust.studies.sparse_tickets.rounds import round_stages

COMPARED = (STRATEGIES["original"], STRATEGIES["random"])


class sparse_tickets:
    """Natural and FGSM training; kept weights rewound to their start, and random ones under such masks."""

    stages = (
        "train",
        *round_stages(TWO_CORE_ROUNDS, PUBLISHED_PRUNING, {"fgsm": COMPARED, "natural": COMPARED}),
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Seven dense networks."""
        return two_core_points(["fgsm", "natural"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Everything under the published attack and on hardware; reported rounds under others; masks."""
        grid = measured.labeled(grid)
        rounds = [p for p in grid if p.get("round", 0) in REPORTED]
        original = [p for p in rounds if p["strategy_name"] in ("dense", "original")]
        attacked = [p for p in original if p.get("round", 0) in (0, 8, 18)]
        return [
            *grid,
            *measured.published_accuracy(grid, **how),
            *measured.attack_matrix(attacked, 500, **how),
            *measured.size_curves([p for p in attacked if p["training"] == "fgsm"], 500, **how),
            *measured.on_hardware(grid, 500, **how),
            *measured.overlaps([p for p in original if p.get("round", 0)], **how),
        ]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """All figures and tables of the study."""
        return draw_all(grid, folder, "sparse_tickets")
