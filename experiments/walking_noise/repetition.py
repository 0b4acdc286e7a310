"""Executing sensitive layers more often: plans from midpoints against the same number for every layer.

Expected (measured before, five networks of 40 epochs): without batch normalization at a noise of 0.471, five
executions per layer on average reach 84.4 % when uniform and 93.8 % in proportion to 1 / midpoint; with it,
at 0.35, 88.1 and 92.2 %. Found: docs/walking_noise.md.
Command: python train.py -exp=repetition; the networks of walking_profiles, no further training.
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.walking_noise.points import EVERYWHERE, midpoints_of
from jaxrobust.figures.walking_noise.repetition import draw_repetition
from jaxrobust.measures.executions import SCALINGS, plan_executions
from jaxrobust.studies.walking_noise.evaluations import noise_sweep, with_sweeps
from jaxrobust.studies.walking_noise.protocol import mnist_networks
from jaxrobust.studies.walking_noise.sweeps import NoiseSweep, decades

BUDGETS = (1, 2, 3, 5, 7, 10, 20)
# Published operating points: the midpoints of noise everywhere.
STDS = {False: 0.471, True: 0.350}


class repetition:
    """Plans by all twelve scalings and uniform ones, on the networks of ``walking_profiles``."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Six networks, trained without noise."""
        return mnist_networks()

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Midpoints of every position, plans from them, and accuracy under each plan."""
        evaluated = []
        for network in dict.fromkeys(point["network"] for point in grid):
            its = [point for point in grid if point["network"] == network]
            positions = network.positions(its[0]["dataset"])
            places = {EVERYWHERE: positions, **{name: (name,) for name in positions}}
            sweeps = {f"additive {name}": NoiseSweep(where, decades(-2, 4)) for name, where in places.items()}
            swept = with_sweeps(its, sweeps, **how)
            if not swept:
                continue
            middle = {name: m.value for name, m in midpoints_of(swept, "additive", 0.1).items()}
            middle = {name: float(f"{middle[name]:.3g}") for name in positions}
            names = ["uniform", *SCALINGS, "layer_sort (published ranks)"]
            plans = [_plan(middle, budget, name) for name in names for budget in BUDGETS]
            sweep = NoiseSweep(positions, (STDS[network.normalize],), executions=tuple(plans))
            points = [
                {**point, "n_draws": 1, "sweep": sweep, "midpoints": middle, "plans": names} for point in its
            ]
            evaluated += dj.run(points, noise_sweep, store_key="accuracies", **how)(
                "{*}", "{sweep}", n_draws="{n_draws}"
            )
        return evaluated

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over mean executions, one line per scaling."""
        return draw_repetition(grid, folder, "repetition", BUDGETS)


def _plan(midpoints: dict[str, float], budget: int, name: str) -> tuple[int, ...]:
    if name == "uniform":
        return (budget,) * len(midpoints)
    if name in SCALINGS:
        return tuple(plan_executions(midpoints, budget, name).values())
    return tuple(plan_executions(midpoints, budget, "layer_sort", ranks="published").values())
