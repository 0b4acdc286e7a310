"""Mismatch: six training methods on speech, heartbeats and images (Figure 2 and Table 1).

Expected (published, mean accuracy at mismatch 0 and 0.5): standard training 81 and 57 % (speech), 99 and 77 %
(ECG), 91 and 61 % (images); forward noise + beta 82 and 73 %, 99 and 95 %, 92 and 89 %.
Command: python train.py -exp=mismatch_experiment (-protocol=short for two cores)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.main_figure import draw_main_figure
from jaxrobust.studies.evaluations.examples import example_answers
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols

OURS = protocols.FORWARD_NOISE_BETA
# The mismatch of the one device that classifies the examples, and how many examples there are.
EXAMPLE_LEVEL = 0.5
N_EXAMPLES = 40


class mismatch_experiment:
    """Six methods on three networks, two seeds each."""

    two_cores = protocols.TWO_CORES
    short = protocols.SHORT

    def train_grid(self) -> list[dict[str, Any]]:
        """Thirty-six models."""
        return protocols.with_methods(protocols.published_networks(), protocols.METHODS)

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of 100 devices at each level; examples as one device of the first networks sees them."""
        first = min(point["seed"] for point in grid)
        shown = [
            point
            for point in grid
            if point["seed"] == first and point["method"] in (protocols.STANDARD["method"], OURS["method"])
        ]
        examples = dj.run(shown, example_answers, store_key="examples", **how)(
            "{*}", EXAMPLE_LEVEL, n_examples=N_EXAMPLES
        )
        return mismatch_sweep(grid, **how) + examples

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Examples above split violins, a column a network, and the table of all methods."""
        return draw_main_figure(
            [point for point in grid if "accuracies" in point],
            [point for point in grid if "examples" in point],
            folder,
            "mismatch_experiment",
            left=protocols.STANDARD["method"],
            right=OURS["method"],
            example_level=EXAMPLE_LEVEL,
        )
