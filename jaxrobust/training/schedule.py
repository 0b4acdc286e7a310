"""How long a training lasts and how fast it learns, in phases."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from jaxrobust.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """A piecewise constant learning rate, as published.

    Attributes:
        n_epochs: Epochs of each phase; fractions are allowed.
        learning_rates: Learning rate of each phase.
    """

    n_epochs: tuple[float, ...]
    learning_rates: tuple[float, ...]

    def __post_init__(self):
        if len(self.n_epochs) != len(self.learning_rates) or not self.n_epochs:
            raise InputError(
                f"n_epochs {self.n_epochs} and learning_rate {self.learning_rates} must name the same "
                f"number of phases."
            )
        if any(not epochs > 0 for epochs in self.n_epochs):
            raise InputError(f"Every phase needs more than 0 epochs, but n_epochs is {self.n_epochs}.")
        if any(not (math.isfinite(rate) and rate >= 0) for rate in self.learning_rates):
            raise InputError(f"Learning rates must be finite and not negative, not {self.learning_rates}.")

    def phase_steps(self, n_samples: int, batch_size: int) -> tuple[int, ...]:
        """Training steps of each phase."""
        return tuple(math.ceil(epochs * n_samples / batch_size) for epochs in self.n_epochs)

    def rates(
        self, first_step: int, n_steps: int, phase_steps: tuple[int, ...]
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps; steps after the last phase keep its rate."""
        phase = np.searchsorted(
            np.cumsum(phase_steps), np.arange(first_step, first_step + n_steps), side="right"
        )
        return np.asarray(self.learning_rates, np.float32)[np.minimum(phase, len(phase_steps) - 1)]
