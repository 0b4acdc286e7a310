"""Large weights against robustness: do attacks of a constant size drive weights up, and does that help?

Expected (published): trained against attacks of constant size, weights grow with beta; against relative
attacks they do not. An MLP whose weights are driven up withstands constant noise better.
Command: python train.py -exp=weight_magnitude_experiment (-protocol=short: one seed)
"""

from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.figures.parameter_noise.weights import draw_weight_magnitudes
from jaxrobust.perturbations.noise import AdditiveUniform
from jaxrobust.perturbations.perturbation import Matching
from jaxrobust.studies.evaluations.mismatch import perturbed_accuracy
from jaxrobust.studies.evaluations.weights import mean_absolute_weights
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import mnist_mlp, speech_lsnn

# What the hidden weights of the MLP are tested with.
NOISE = Matching(AdditiveUniform(0.2), "w1|w2")


class weight_magnitude_experiment:
    """Two kinds of attack with four weights of the term on speech; MLPs with and without growing weights."""

    short = protocols.SHORT_SWEEP

    def train_grid(self) -> list[dict[str, Any]]:
        """Forty spiking networks and two MLPs, each of these trained for four lengths of time."""
        attacks = [
            {"attack_size_constant": 0.01, "attack_size_mismatch": 0.0},
            {"attack_size_constant": 0.0, "attack_size_mismatch": 0.2},
        ]
        spiking = [speech_lsnn.make() | attack for attack in attacks]
        spiking = dj.split(spiking, "beta_robustness", [0.0, 0.125, 0.5, 1.0])
        # Records hold no weights over time, so a training of each length stands for a moment of the longest.
        perceptrons = dj.split([mnist_mlp.make()], "weight_increase", [0.0, 1e5])
        perceptrons = dj.split(perceptrons, "n_epochs", [(2.0,), (5.0,), (10.0,), (20.0,)])
        return dj.split(spiking, "seed", list(range(5))) + perceptrons

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Mean absolute weights; for the MLPs test accuracy of ten devices with uniform noise on them."""
        grid = [{"n_samples": 0, **point} for point in grid]
        grid = dj.run(grid, mean_absolute_weights, store_key="magnitudes", **how)("{*}")
        perceptrons = dj.query(grid, "*", where={"architecture": "mnist_mlp"})
        perceptrons = dj.run(perceptrons, perturbed_accuracy, store_key="accuracies", **how)(
            "{*}", NOISE, n_draws=10, n_samples="{n_samples}"
        )
        return dj.query(grid, "*", where={"architecture": "speech_lsnn"}) + perceptrons

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Magnitudes over beta; magnitude and robustness of the MLPs over training."""
        return draw_weight_magnitudes(grid, folder, "weight_magnitude_experiment")
