"""Variance-aware noisy training (VANT): trained for a range of noise levels, evaluated at all of them.

Expected (measured before, MLP without batch normalization on MNIST, 20 epochs, level 1.5): mean accuracy over
levels from 0.1 to 3.0 of 62.5 % with a share of 0.45 and a spread of 0.25, against 59.8 % for training at
1.5. Found: docs/walking_noise.md.
Command: python train.py -exp=vant; three trainings of 20 epochs, about a minute on two idle cores.
"""

from pathlib import Path
from typing import Any

from jaxrobust.figures.walking_noise.vant import draw_vant
from jaxrobust.studies.walking_noise.evaluations import with_sweeps
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.studies.walking_noise.sweeps import NoiseSweep
from jaxrobust.training.methods import Standard, VarianceAwareNoise

EPOCHS = 20
STD = 1.5
NETWORK = PublishedNetwork("mlp", normalize=False)
# Share and spread; the first is training at one level.
CASES = ((1.0, 0.0), (0.45, 0.25), (0.45, 0.65))
LEVELS = tuple(round(0.1 + 0.2 * i, 1) for i in range(15))


class vant:
    """One network per share and spread."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Three networks."""
        where = NETWORK.positions("mnist")
        return [
            {
                **published_point(
                    NETWORK,
                    epochs=EPOCHS,
                    method=VarianceAwareNoise(Standard(), STD, share, spread, where),
                ),
                "share": share,
                "spread": spread,
            }
            for share, spread in CASES
        ]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise everywhere at every level."""
        return with_sweeps(grid, {"additive all": NoiseSweep(NETWORK.positions("mnist"), LEVELS)}, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """One curve per network, and their means."""
        return draw_vant(grid, folder, "vant")
