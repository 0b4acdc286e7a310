"""The files in the folder of a training, and a thread that writes them while training goes on."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxrobust.training.checkpoints import save_tree

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


def kept_file(step: int) -> str:
    """Name of the file with the parameters of a step that is kept, in the folder of its training."""
    return f"step_{step}.safetensors"


def optimizer_file(step: int | None = None) -> str:
    """Name of the file with the optimizer's state of a step that is kept; None for the last."""
    return "optimizer.safetensors" if step is None else f"step_{step}_optimizer.safetensors"


class Writer:
    """Writes trees of arrays in a thread, one file after the other, in the order they were given.

    Each file appears whole or not at all, and none after one that failed: a checkpoint is there only if the
    files given before it are. As a context it ends when everything is written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
        >>> with Writer() as writer:
        ...     writer.save(path, {"w": np.ones(3)})
        >>> path.exists()
        True
    """

    def __init__(self):
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="files of a training")
        self._pending: list[Future[None]] = []
        self._has_failed = False

    def save(self, path: Path, tree: Any) -> None:
        """Write a tree soon.

        Args:
            path: Where to.
            tree: NumPy arrays that nobody changes any more; those of a device may be reused by its next step.
        """
        self._pending.append(self._pool.submit(self._write, path, tree))

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: The first file that could not be written.
        """
        pending, self._pending = self._pending, []
        errors = [error for future in pending if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def _write(self, path: Path, tree: Any) -> None:
        if self._has_failed:
            return
        try:
            save_tree(path, tree)
        except BaseException:
            self._has_failed = True
            raise

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if error is None:
            self.wait()
