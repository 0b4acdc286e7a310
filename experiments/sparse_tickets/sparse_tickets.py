"""Do pruned networks keep their adversarial robustness? MNIST, FGSM, 18 rounds, on two cores.

A twenty-fifth of the published schedule (2,000 steps per round); ``sparse_tickets_published`` has all of it.
With 1,000 steps, tickets of 1.8 % of the weights were 2 to 7 points below the dense network (three seeds).
Expected (two seeds): under FGSM the dense network has 88.9 %; at 1.8 % of the weights, tickets rewound to
their start 87.0 % and random weights under such masks 71.3 %. 46 minutes of processor time with
two workers; -schedule.length=1000 trains half as long.
Command: python train.py -exp=sparse_tickets -n_threads=2
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.figures import draw_all
from jaxrobust.pruning.rules import GlobalPruning, LayerwisePruning
from jaxrobust.studies.sparse_tickets import measured
from jaxrobust.studies.sparse_tickets.protocol import (
    PUBLISHED_PRUNING,
    RATES,
    REPORTED,
    STRATEGIES,
    dense_points,
)
from jaxrobust.studies.sparse_tickets.rounds import round_stages, ticket_point
from jaxrobust.studies.stages import Points, Stage

N_STEPS, N_ROUNDS, SEEDS = 2000, 18, (0, 1)
PROBED: dict[str, Any] = {"probed": ("FGSM",), "n_probe_samples": 1000}
# Pruned at once to the weights that 8 and 18 rounds leave.
ONE_SHOT = {
    "one-shot": lambda n: LayerwisePruning(RATES, "published", n_rounds=n),
    "one-shot, global": lambda n: GlobalPruning(0.2, n_rounds=n),
    "random mask": lambda n: LayerwisePruning(RATES, "published", n_rounds=n, by="random"),
}


def controls(points: Points) -> list[dict[str, Any]]:
    """Networks that are pruned once and rewound to their start; dense ones with the steps of all rounds."""
    total = (N_ROUNDS + 1) * N_STEPS
    return [
        *dense_points("mnist", ["fgsm"], SEEDS, total, training="dense control", **PROBED),
        *_pruned_once(points),
    ]


def _pruned_once(points: Points) -> list[dict[str, Any]]:
    return [
        {
            **ticket_point(dense, pruning=make(n_rounds), strategy=STRATEGIES["original"]),
            "training": name,
        }
        for dense in points["train"]
        if dense["training"] == "fgsm"
        for name, make in ONE_SHOT.items()
        for n_rounds in (8, 18)
    ]


class sparse_tickets:
    """Natural and FGSM training, the paper's strategies, and the controls that it lacks."""

    stages = (
        "train",
        *round_stages(
            N_ROUNDS,
            PUBLISHED_PRUNING,
            {
                "fgsm": tuple(STRATEGIES.values()),
                "natural": (STRATEGIES["original"], STRATEGIES["random"]),
            },
        ),
        Stage("controls", controls, "train"),
    )

    def train_grid(self) -> list[dict[str, Any]]:
        """Four dense networks."""
        return dense_points("mnist", ["fgsm", "natural"], SEEDS, N_STEPS, **PROBED)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Everything under the published attack and on hardware; reported rounds under others; masks."""
        grid = measured.labeled(grid)
        tickets_and_dense = [p for p in grid if p["training"] in ("fgsm", "natural")]
        rounds = [p for p in tickets_and_dense if p.get("round", 0) in REPORTED]
        original = [p for p in rounds if p["strategy_name"] in ("dense", "original")]
        fgsm = [p for p in original if p["training"] == "fgsm"]
        adversarial = [p for p in rounds if p["training"] == "fgsm"]
        tickets = [p for p in original if p.get("round", 0)]
        starts = [p for p in adversarial if p.get("round") == 8 and p["seed"] == 0]
        return [
            *grid,
            *measured.published_accuracy(grid, **how),
            *measured.attack_matrix([p for p in original if p.get("round", 0) in (0, 8, 18)], 500, **how),
            *measured.size_curves([p for p in fgsm if p.get("round", 0) in (0, 8, 18)], 500, **how),
            *measured.on_hardware(tickets_and_dense, 500, **how),
            *measured.overlaps(tickets, **how),
            *measured.weights(starts, **how),
        ]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """All figures and tables of the study."""
        return draw_all(grid, folder, "sparse_tickets")
