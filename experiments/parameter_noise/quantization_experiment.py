"""Parameters rounded to a few bits after training: speech, with and without the robust term.

Expected: from five bits on nothing is lost; below, networks trained with beta 1 lose less.
Command: python train.py -exp=quantization_experiment (-protocol=short: one seed)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import shades
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy, quantized_accuracy
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import speech_lsnn

BITS = (1, 2, 3, 4, 5, 6, 7)
# Parameters as they were trained.
FLOAT_BITS = 32


class quantization_experiment:
    """Two weights of the robust term, ten seeds each."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Twenty models."""
        grid = dj.split([speech_lsnn.make()], "beta_robustness", [0.0, 1.0])
        return dj.split(grid, "seed", list(range(10)))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Test accuracy with one to seven bits a parameter, and as trained."""
        grid = [{"n_samples": 0, **point} for point in grid]
        rounded = dj.run(dj.split(grid, "bits", list(BITS)), quantized_accuracy, store_key="accuracy", **how)(
            "{*}", "{bits}", n_samples="{n_samples}"
        )
        plain = [{**point, "bits": FLOAT_BITS} for point in grid]
        return rounded + dj.run(plain, mismatch_accuracy, store_key="accuracy", **how)(
            "{*}", 0.0, n_samples="{n_samples}"
        )

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over bits."""
        return draw_accuracy(
            grid,
            folder,
            "quantization_experiment",
            x="bits",
            y=lambda point: point["accuracy"],
            x_label="Bits a parameter (32: as trained)",
            line="beta_robustness",
            styles=shades(["0", "1"]),
            legend_title="Weight of the robust term β",
            note="After training every tensor is rounded to steps between its smallest and largest value.",
        )
