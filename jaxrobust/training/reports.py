"""What blocks of training steps report: divergence, time, and the metrics for the log."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from jaxtyping import Int

from jaxrobust.training.files import CHECKPOINT
from jaxrobust.training.metrics import MetricsLog
from jaxrobust.training.program import MAX_BLOCK, IntervalMetrics
from jaxrobust.training.training import Training, TrainingDiverged

# How long a block of steps should take: long enough to hide the overhead of a call, short enough to show
# progress and to stop soon when asked to. On a GPU, up to two blocks are computed before a stop.
BLOCK_SECONDS = 1.0


class BlockReport(NamedTuple):
    """A block of steps that was handed to the device, which may still compute it.

    Attributes:
        step: The step after it.
        n_steps: Its length.
        began: When it was handed over, on the monotonic clock.
        diverged_at: As in the state after it.
        metrics: Those of the validation after it, if there was one.
        measured: What probes measured after it, if they did.
    """

    step: int
    n_steps: int
    began: float
    diverged_at: Int[Array, "*models"]
    metrics: IntervalMetrics | None
    measured: Mapping[str, Array]

    @property
    def is_computed(self) -> bool:
        """Whether reading it would not wait; on a CPU that does not dispatch asynchronously, always."""
        arrays = jax.tree.leaves((self.diverged_at, self.metrics, self.measured))
        return all(array.is_ready() for array in arrays)


class Reports:
    """Reads the reports of one training after the other; waits for those that are not computed yet.

    Attributes:
        diverged: Why each model that diverged has, by its index.
        checkpoint_step: The step of the last checkpoint; None without one.
        block_length: How many steps the next block should have.

    Args:
        trainings: The models.
        logs: Where the metrics of each go.
        step: The step that training begins at.
        total: Steps in all.
        progress: Called after each block.
    """

    def __init__(
        self,
        trainings: Sequence[Training],
        logs: Sequence[MetricsLog],
        step: int,
        total: int,
        progress: Callable[[int, int, str], None],
    ):
        self._trainings, self._logs, self._total, self._progress = trainings, logs, total, progress
        self.diverged: dict[int, TrainingDiverged] = {}
        self.checkpoint_step = step or None  # those that begin at a later step have read a checkpoint
        self._first_step = step
        self.block_length = 1
        self._read_at = -np.inf
        self._text = ""

    def read(self, report: BlockReport) -> None:
        """Wait for a block, note what diverged in it, and log its metrics."""
        flags = np.atleast_1d(np.asarray(report.diverged_at)).tolist()
        self._choose_length(report)
        for i in range(len(self._trainings)):
            if flags[i] >= 0 and i not in self.diverged:
                self.diverged[i] = _divergence(self._trainings[i], flags[i], self.checkpoint_step)
        columns: dict[str, np.ndarray] = {}
        if report.metrics is not None:
            columns, self._text = _columns(self._trainings, report.metrics)
        self.log(report.step, {**columns, **report.measured})
        self._read_at = time.monotonic()
        self._progress(report.step, self._total, self._text)

    def log(self, step: int, columns: Mapping[str, np.ndarray | Array]) -> None:
        """Write a line of metrics for each model, if there are any."""
        on_host = {name: np.atleast_1d(np.asarray(column)) for name, column in columns.items()}
        for i, log in enumerate(self._logs if on_host else ()):
            log.append(step=step, **{name: float(column[i]) for name, column in on_host.items()})

    def _choose_length(self, report: BlockReport) -> None:
        # A block is handed over while the one before still runs, so its time begins when that was read.
        seconds = time.monotonic() - max(report.began, self._read_at)
        # The first call compiles, so its time says nothing of the next.
        if report.step - report.n_steps > self._first_step:
            wanted = BLOCK_SECONDS * report.n_steps / max(seconds, 1e-9)
            self.block_length = int(np.clip(wanted, 1, MAX_BLOCK))


def _divergence(training: Training, step: int, checkpoint_step: int | None) -> TrainingDiverged:
    checkpoint = (
        "it had no checkpoint yet"
        if checkpoint_step is None
        else f"its last good checkpoint is {training.folder / CHECKPOINT} (step {checkpoint_step})"
    )
    return TrainingDiverged(
        f"The loss or a parameter is no longer finite at step {step} with {training.method}, optimizer "
        f"{training.optimizer}, {training.schedule} and seed {training.seed}; {checkpoint}. "
        f"Lower the learning rate or the attack size."
    )


def _columns(trainings: Sequence[Training], metrics: IntervalMetrics) -> tuple[dict[str, np.ndarray], str]:
    """The metrics under the names of the history, and in words; the score for classes is the accuracy."""
    is_accuracy = trainings[0].criterion.is_classification
    # Programs on several devices may have more columns than there are models.
    columns = {
        name.replace("score", "accuracy") if is_accuracy else name: np.atleast_1d(column)[: len(trainings)]
        for name, column in metrics._asdict().items()
    }
    loss, _, validation = (np.mean(column) for column in columns.values())
    text = f"{validation:.2%}" if is_accuracy else f"{validation:.4g}"
    return columns, f"loss {loss:.4g}, validation {text}"
