"""Attacks of the same size on every parameter, whatever its magnitude: speech with four weights of the term.

Expected: with a larger beta less is lost under the attack that the networks were trained against; random
corners of boxes harm little. (The published methods_experiment has the same networks.)
Command: python train.py -exp=constant_attack_experiment (-protocol=short: one seed)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.over_setting import draw_accuracy
from jaxrobust.figures.style import LineStyle
from jaxrobust.studies.evaluations.mismatch import corner_sweep, mismatch_accuracy
from jaxrobust.studies.evaluations.worst_case import worst_case_accuracy
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import speech_lsnn

SIZE = 0.01
CLEAN, ATTACKED = "As trained", f"Attack, ±{SIZE:g} for every parameter"
CORNERS = {size: f"Random corners, ±{size:g} relative" for size in (0.01, 0.05)}
STYLES = {
    CLEAN: LineStyle("#000000", 1.5),
    CORNERS[0.01]: LineStyle("#4c84e6", 1.5),
    CORNERS[0.05]: LineStyle("#9b32a8", 1.5),
    ATTACKED: LineStyle("#fc033d", 1.5),
}


class constant_attack_experiment:
    """Four weights of the robust term, ten seeds each."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Forty models."""
        grid = [speech_lsnn.make() | {"attack_size_mismatch": 0.0, "attack_size_constant": SIZE}]
        grid = dj.split(grid, "beta_robustness", [0.0, 0.1, 1.0, 10.0])
        return dj.split(grid, "seed", list(range(10)))

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Test accuracy as trained, after an attack of ten steps, and at five random corners of two boxes."""
        grid = [{"n_samples": 0, **point} for point in grid]
        clean = dj.run(grid, mismatch_accuracy, store_key="found", **how)("{*}", 0.0, n_samples="{n_samples}")
        attacked = dj.run(grid, worst_case_accuracy, store_key="worst_case", **how)(
            "{*}", 0.0, n_samples="{n_samples}", absolute_size=SIZE
        )
        corners = corner_sweep(dj.split(grid, "size", list(CORNERS)), **how)
        return [
            *({**point, "under": CLEAN} for point in clean),
            *({**point, "under": ATTACKED, "found": [point["worst_case"]["accuracy"]]} for point in attacked),
            *({**point, "under": CORNERS[point["size"]], "found": point["corners"]} for point in corners),
        ]

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Test accuracy over beta."""
        return draw_accuracy(
            grid,
            folder,
            "constant_attack_experiment",
            x="beta_robustness",
            y=lambda point: point["found"],
            x_label="Weight of the robust term β",
            line="under",
            styles=STYLES,
            note="Trained against, and attacked within, the same absolute size for every parameter.",
        )
