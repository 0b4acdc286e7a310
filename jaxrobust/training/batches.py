"""Which samples make up which batch: a function of the seed and the step alone."""

import numpy as np
from jaxtyping import Int32


def batch_indices(
    seed: int, first_step: int, n_steps: int, *, batch_size: int, n_samples: int
) -> Int32[np.ndarray, "n_steps batch"]:
    """Sample indices of ``n_steps`` batches, cut from one endless row of freshly shuffled epochs.

    Batches run across the ends of epochs, so that each has the same size and every sample comes up once an
    epoch. Nothing but the arguments is remembered: a resumed training sees the same batches.
    """
    first, last = first_step * batch_size, (first_step + n_steps) * batch_size
    epochs = range(first // n_samples, -(-last // n_samples))
    row = np.concatenate([_epoch(seed, epoch, n_samples) for epoch in epochs])
    offset = first - epochs.start * n_samples
    return row[offset : offset + last - first].reshape(n_steps, batch_size)


def _epoch(seed: int, epoch: int, n_samples: int) -> Int32[np.ndarray, " n_samples"]:
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    return generator.permutation(n_samples).astype(np.int32)
