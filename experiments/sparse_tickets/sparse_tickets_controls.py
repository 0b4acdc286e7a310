"""What makes a ticket of ``sparse_tickets``: every strategy, pruning at once, random masks, more steps.

Expected (five seeds), under FGSM at 1.8 % of the weights: rewound to the start 84.8 %, to the end of dense
training 86.8, trained on without a rewind 83.3, random weights 64.5; pruned at once, or under a random mask,
31 to 41. A dense network with the steps of all rounds is as good as the best of them.
The networks of ``sparse_tickets`` are trained once for both.
Command: python train.py -exp=sparse_tickets_controls -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.pruning.rules import GlobalPruning, LayerwisePruning
from jaxrobust.studies.sparse_tickets import measured
from jaxrobust.studies.sparse_tickets.protocol import (
    PUBLISHED_PRUNING,
    RATES,
    STRATEGIES,
    TWO_CORE_ROUNDS,
    two_core_points,
)
from jaxrobust.studies.sparse_tickets.rounds import round_stages, ticket_point
from jaxrobust.studies.stages import Points, Stage

# Pruned at once to the weights that 8 and 18 rounds leave.
ONE_SHOT = {
    "one-shot": lambda n: LayerwisePruning(RATES, "published", n_rounds=n),
    "one-shot, global": lambda n: GlobalPruning(0.2, n_rounds=n),
    "random mask": lambda n: LayerwisePruning(RATES, "published", n_rounds=n, by="random"),
}


def controls(points: Points) -> list[dict[str, Any]]:
    """Networks that are pruned once and rewound to their start; dense ones with the steps of all rounds."""
    return [
        *two_core_points(["fgsm"], TWO_CORE_ROUNDS + 1, "dense control"),
        *_pruned_once(points),
    ]


def _pruned_once(points: Points) -> list[dict[str, Any]]:
    return [
        {
            **ticket_point(dense, pruning=make(n_rounds), strategy=STRATEGIES["original"]),
            "training": name,
        }
        for dense in points["train"]
        for name, make in ONE_SHOT.items()
        for n_rounds in (8, 18)
    ]


class sparse_tickets_controls:
    """FGSM training, four strategies, and the controls."""

    stages = (
        "train",
        *round_stages(TWO_CORE_ROUNDS, PUBLISHED_PRUNING, {"fgsm": tuple(STRATEGIES.values())}),
        Stage("controls", controls, "train"),
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Five dense networks."""
        return two_core_points(["fgsm"])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Everything under the published attack; rounds on hardware; the weights that round 8 starts from."""
        grid = measured.labeled(grid)
        rounds = [p for p in grid if p["training"] == "fgsm"]
        return [
            *grid,
            *measured.published_accuracy(grid, **how),
            *measured.on_hardware(rounds, 500, **how),
            *measured.weights([p for p in rounds if p.get("round") == 8 and p["seed"] == 0], **how),
        ]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Figures and tables of these networks."""
        return draw_all(grid, folder, "sparse_tickets_controls")
