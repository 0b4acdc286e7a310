"""Noise of parameters against noise of activations: walking profiles of the first study's training methods.

No number is published. A network that tolerates changed weights has larger midpoints if the two tolerances go
together. Found: docs/walking_noise.md.
Command: python train.py -exp=walking_profiles_methods; four trainings of 15 epochs, about two minutes on two
idle cores.
"""

from pathlib import Path
from typing import Any

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.figures.walking_noise.methods import draw_methods
from jaxrobust.studies.walking_noise.networks import PublishedNetwork
from jaxrobust.studies.walking_noise.profiles import with_profiles
from jaxrobust.studies.walking_noise.protocol import published_point
from jaxrobust.training.methods import ForwardNoise, Method, ParameterAttackTraining, Standard

EPOCHS = 15
NETWORK = PublishedNetwork("mlp", normalize=False)
# The published strengths of the first study, with 3 steps of the attack in place of 10.
ATTACK = ParameterAttack(relative_size=0.1, initial_relative_std=0.001, n_steps=3)
METHODS: dict[str, Method] = {
    "Standard": Standard(),
    "Forward noise": ForwardNoise(0.3),
    "Beta": ParameterAttackTraining(Standard(), 0.25, ATTACK),
    "Forward noise + beta": ParameterAttackTraining(ForwardNoise(0.3), 0.1, ATTACK),
}


class walking_profiles_methods:
    """The MLP for MNIST, trained by four methods, none of which puts noise on activations."""

    def train_grid(self) -> list[dict[str, Any]]:
        """Four networks; ``trained_by`` names the method."""
        return [
            {**published_point(NETWORK, epochs=EPOCHS, method=method), "trained_by": name}
            for name, method in METHODS.items()
        ]

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy under noise at every position."""
        return with_profiles(grid, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Accuracy over noise everywhere and midpoints position by position, one line per method."""
        return draw_methods(grid, folder, "walking_profiles_methods")
