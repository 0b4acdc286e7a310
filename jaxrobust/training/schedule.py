"""How long a training lasts and how fast it learns: schedules of the learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from jaxtyping import Float32, Float64

from jaxrobust.errors import InputError

Per = Literal["step", "epoch"]


class Schedule(Protocol):
    """The number of steps and the learning rate of each, computed on the host from the step alone.

    A resumed training sees the same rates. Rates are inputs of the compiled step, so that models with
    different ones share a program if they take equally many steps.
    """

    @property
    def n_epochs(self) -> float | tuple[float, ...] | None:
        """Epochs in all, or of each phase; None if the length does not depend on the data."""
        ...

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        ...

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps; steps after the last keep its rate."""
        ...


@dataclass(frozen=True)
class Phases:
    """A piecewise constant learning rate.

    Attributes:
        n_epochs: Epochs of each phase; fractions are allowed.
        learning_rates: Learning rate of each phase.

    Raises:
        InputError: Epochs and rates of different number, no phase, or numbers out of range.

    Example:
        >>> Phases((50, 50), (0.1, 0.01)).n_steps(n_samples=1000, batch_size=100)
        1000
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
        _check_rates(self.learning_rates)

    def phase_steps(self, n_samples: int, batch_size: int) -> tuple[int, ...]:
        """Training steps of each phase."""
        return tuple(math.ceil(epochs * n_samples / batch_size) for epochs in self.n_epochs)

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        return sum(self.phase_steps(n_samples, batch_size))

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps; steps after the last phase keep its rate."""
        ends = np.cumsum(self.phase_steps(n_samples, batch_size))
        phase = np.searchsorted(ends, np.arange(first_step, first_step + n_steps), side="right")
        return np.asarray(self.learning_rates, np.float32)[np.minimum(phase, len(ends) - 1)]


@dataclass(frozen=True)
class Steps:
    """A number of steps at a constant learning rate, however large the data set is.

    Attributes:
        length: Training steps in all.
        learning_rate: The rate of each.

    Example:
        >>> Steps(1000, 1.2e-3).n_steps(n_samples=50_000, batch_size=60)
        1000
    """

    length: int
    learning_rate: float

    def __post_init__(self):
        _check_length(self)

    @property
    def n_epochs(self) -> None:
        """The length does not depend on the data."""
        return None

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        return self.length

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps."""
        return np.full(n_steps, self.learning_rate, np.float32)


@dataclass(frozen=True)
class FallingSteps:
    """A number of steps whose rate falls exponentially, however large the data set is: ``rate share^(t/T)``.

    Attributes:
        length: Training steps in all, T.
        learning_rate: The rate of the first step.
        final_share: What share of it the rate has fallen to after the last step.

    Example:
        >>> FallingSteps(100, 1.0, 0.01).rates(50, 1, n_samples=1, batch_size=1).tolist()
        [0.10000000149011612]
    """

    length: int
    learning_rate: float
    final_share: float

    def __post_init__(self):
        _check_length(self)
        if not 0 < self.final_share <= 1:
            raise InputError(f"The final share of a rate lies in (0, 1], but it is {self.final_share!r}.")

    @property
    def n_epochs(self) -> None:
        """The length does not depend on the data."""
        return None

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        return self.length

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps; steps after the last keep its rate."""
        steps = np.minimum(np.arange(first_step, first_step + n_steps), self.length - 1)
        return (self.learning_rate * self.final_share ** (steps / self.length)).astype(np.float32)


@dataclass(frozen=True)
class Cosine:
    """``final + (rate - final) (1 + cos(pi t / T)) / 2``, annealed to ``final`` (Loshchilov and Hutter 2017).

    Attributes:
        n_epochs: Length.
        learning_rate: The first rate.
        final_rate: What it approaches.
        per: Whether it changes per ``"step"`` (t counts steps) or per ``"epoch"`` (t counts full ones).
    """

    n_epochs: float
    learning_rate: float
    final_rate: float = 0.0
    per: Per = "step"

    def __post_init__(self):
        _check_smooth(self.n_epochs, self.per)
        _check_rates((self.learning_rate, self.final_rate))

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        return math.ceil(self.n_epochs * n_samples / batch_size)

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps."""
        progress = _epochs(self, first_step, n_steps, n_samples, batch_size) / self.n_epochs
        height = (1 + np.cos(np.pi * np.minimum(progress, 1))) / 2
        return (self.final_rate + (self.learning_rate - self.final_rate) * height).astype(np.float32)


@dataclass(frozen=True)
class Exponential:
    """``rate * decay^t``.

    Attributes:
        n_epochs: Length.
        learning_rate: The first rate.
        decay: Factor per epoch, ``10^(-1/60)`` for a tenth in sixty epochs.
        per: Whether it changes at every ``"step"`` (t counts epochs with fractions) or every ``"epoch"``.
    """

    n_epochs: float
    learning_rate: float
    decay: float
    per: Per = "epoch"

    def __post_init__(self):
        _check_smooth(self.n_epochs, self.per)
        _check_rates((self.learning_rate,))
        if not 0 < self.decay <= 1:
            raise InputError(f"The decay of a learning rate lies in (0, 1], but it is {self.decay!r}.")

    def n_steps(self, n_samples: int, batch_size: int) -> int:
        """Training steps in all."""
        return math.ceil(self.n_epochs * n_samples / batch_size)

    def rates(
        self, first_step: int, n_steps: int, *, n_samples: int, batch_size: int
    ) -> Float32[np.ndarray, " n_steps"]:
        """The learning rates of ``n_steps`` steps."""
        epochs = _epochs(self, first_step, n_steps, n_samples, batch_size)
        return (self.learning_rate * self.decay**epochs).astype(np.float32)


def _epochs(
    schedule: Cosine | Exponential, first_step: int, n_steps: int, n_samples: int, batch_size: int
) -> Float64[np.ndarray, " n_steps"]:
    """Epochs before each step; no step is later than the last."""
    last = schedule.n_steps(n_samples, batch_size) - 1
    steps = np.minimum(np.arange(first_step, first_step + n_steps), last)
    # In whole numbers: 0.1 * 30 steps would otherwise be a little less than 3 epochs.
    samples = steps * batch_size
    return samples // n_samples * 1.0 if schedule.per == "epoch" else samples / n_samples


def _check_length(schedule: Steps | FallingSteps) -> None:
    length, kind = schedule.length, type(schedule).__name__
    if not isinstance(length, int) or length < 1:
        raise InputError(f"The length of {kind} is a whole number of at least 1, not {length!r}.")
    _check_rates((schedule.learning_rate,))


def _check_smooth(n_epochs: float, per: str) -> None:
    if not (math.isfinite(n_epochs) and n_epochs > 0):
        raise InputError(f"A schedule needs more than 0 epochs, but n_epochs is {n_epochs!r}.")
    if per not in get_args(Per):
        raise InputError(f'A schedule changes per "step" or per "epoch", not per {per!r}.')


def _check_rates(rates: Sequence[float]) -> None:
    if any(not (math.isfinite(rate) and rate >= 0) for rate in rates):
        raise InputError(f"Learning rates must be finite and not negative, not {tuple(rates)}.")
