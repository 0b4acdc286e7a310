"""Which samples make up which batch: a function of the seed and the step alone."""

import numpy as np
from jaxtyping import Int32


class BatchOrder:
    """The order of the data under one seed: one endless row of freshly shuffled epochs, cut into batches.

    Batches run across the ends of epochs, so that each has the same size and every sample comes up once an
    epoch. The epochs of the last call are kept, as calls for consecutive steps mostly need them again: to
    shuffle takes milliseconds, which a GPU would wait for. The indices do not depend on what is kept.

    Args:
        seed: Seed of the order.
        batch_size: Samples per batch.
        n_samples: Samples per epoch.

    Example:
        >>> order = BatchOrder(0, batch_size=2, n_samples=3)
        >>> order.indices(0, 3).shape, sorted(order.indices(0, 3).ravel().tolist())
        ((3, 2), [0, 0, 1, 1, 2, 2])
    """

    def __init__(self, seed: int, *, batch_size: int, n_samples: int):
        self._seed, self._batch_size, self._n_samples = seed, batch_size, n_samples
        self._epochs: dict[int, Int32[np.ndarray, " n_samples"]] = {}

    def indices(self, first_step: int, n_steps: int) -> Int32[np.ndarray, "n_steps batch"]:
        """Sample indices of ``n_steps`` batches; a resumed training sees the same batches."""
        first, last = first_step * self._batch_size, (first_step + n_steps) * self._batch_size
        epochs = range(first // self._n_samples, -(-last // self._n_samples))
        known = self._epochs
        self._epochs = {e: known[e] if e in known else _epoch(self._seed, e, self._n_samples) for e in epochs}
        row = np.concatenate(list(self._epochs.values()))
        offset = first - epochs.start * self._n_samples
        return row[offset : offset + last - first].reshape(n_steps, self._batch_size)


def batch_indices(
    seed: int, first_step: int, n_steps: int, *, batch_size: int, n_samples: int
) -> Int32[np.ndarray, "n_steps batch"]:
    """Sample indices of ``n_steps`` batches of a ``BatchOrder``."""
    return BatchOrder(seed, batch_size=batch_size, n_samples=n_samples).indices(first_step, n_steps)


def _epoch(seed: int, epoch: int, n_samples: int) -> Int32[np.ndarray, " n_samples"]:
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    return generator.permutation(n_samples).astype(np.int32)
