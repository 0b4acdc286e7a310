"""The experiment to copy: does a larger attack in training make a more robust network?

Expected: up to a point. At mismatch 0.5 networks reach 77 % without attacks and 86 % with attacks of size
0.1; attacks of size 0.3 cost accuracy at every level. Takes half a minute.
Command: python train.py -exp=example_experiment && python make_figures.py -exp=example_experiment
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.sweeps import draw_mismatch_sweep
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp


class example_experiment:  # named as its file: that is how train.py finds it
    """Three attack sizes, two seeds."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Say which models there are; nothing is computed here."""
        # A point is a dict with every setting; `python train.py -arch=digits_mlp --help` lists them.
        grid = [digits_mlp.make() | {"beta_robustness": 0.25, "n_epochs": (20.0, 5.0)}]
        # Each split multiplies the points: three sizes of the attack, two networks each.
        grid = dj.split(grid, "attack_size_mismatch", [0.0, 0.1, 0.3])
        return dj.split(grid, "seed", [0, 1])

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Turn trained models into numbers: all that is slow belongs here, as each number is kept."""
        # `how` says where results lie and how many processes compute; pass it on.
        return mismatch_sweep(grid, levels=[0.0, 0.3, 0.5], **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Draw the numbers, which arrive as points with `level` and `accuracies`."""
        return draw_mismatch_sweep(
            grid, folder, "example_experiment", setting="attack_size_mismatch", called="Attack size ζ"
        )
