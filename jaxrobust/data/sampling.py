"""Seeded choices of samples: balanced over classes, even over patients, stratified into parts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer


def draw_evenly(
    groups: Integer[np.ndarray, " samples"], count: int, random: np.random.Generator
) -> Integer[np.ndarray, " chosen"]:
    """Indices of at most `count` samples, as evenly from every group as the groups' sizes allow.

    Groups with few samples give all they have, the others share what is left. Sorted, without repetition.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    members.sort(key=len)
    chosen: list[np.ndarray] = []
    left = min(count, len(groups))
    for position, indices in enumerate(members):
        share = min(len(indices), -(-left // (len(members) - position)))
        chosen.append(random.choice(indices, share, replace=False))
        left -= share
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def stratified_parts(
    labels: Integer[np.ndarray, " samples"], fractions: Sequence[float], random: np.random.Generator
) -> list[Integer[np.ndarray, " part"]]:
    """Divide all samples at random into parts of the given fractions, each class in the same proportion.

    Each sample lies in exactly one part. Within a part the order is that of the samples.
    """
    parts: list[list[np.ndarray]] = [[] for _ in fractions]
    edges = np.cumsum(fractions)[:-1] / np.sum(fractions)
    for label in np.unique(labels):
        shuffled = random.permutation(np.flatnonzero(labels == label))
        pieces = np.split(shuffled, np.round(edges * len(shuffled)).astype(int))
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]
