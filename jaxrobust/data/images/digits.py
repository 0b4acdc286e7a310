"""scikit-learn's digits: 1,797 real handwritten digits of 8x8 pixels, which need no files and no network.

Enlarged to the shapes of MNIST and CIFAR-10 they stand in for the image sets.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.data.sampling import stratified_parts

_CLASSES = tuple("0123456789")
_SEED = 42
_FRACTIONS = (0.7, 0.1, 0.2)  # train, validation, test


def enlarge(
    images: Float32[np.ndarray, "n 8 8 1"], size: int, channels: int
) -> Float32[np.ndarray, "n size size channels"]:
    """Bilinear enlargement by the largest whole factor that fits, zeros around it, all channels equal."""
    factor = size // 8
    at = np.clip((np.arange(8 * factor) + 0.5) / factor - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    weights = np.zeros((8 * factor, 8), np.float32)  # row i: how pixel i is mixed of the eight
    weights[np.arange(8 * factor), low] = 1 - (at - low)
    weights[np.arange(8 * factor), low + 1] = at - low
    grown = np.einsum("ij,njk,lk->nil", weights, images[..., 0], weights)
    border = size - 8 * factor
    grown = np.pad(grown, ((0, 0), *[(border // 2, border - border // 2)] * 2))
    return np.repeat(np.clip(grown, 0, 1)[..., None], channels, axis=-1).astype(np.float32)


def _builder(size: int, channels: int) -> Callable[[str, Path, Progress], Parts]:
    def build(split: str, folder: Path, progress: Progress) -> Parts:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = (np.asarray(images) / 16).astype(np.float32).reshape(-1, 8, 8, 1)
        labels = np.asarray(labels, np.int32)
        if (size, channels) != (8, 1):
            images = enlarge(images, size, channels)
        train, validation, test = (
            Examples(images[rows], labels[rows])
            for rows in stratified_parts(labels, _FRACTIONS, np.random.default_rng(_SEED))
        )
        enlarged = "" if size == 8 else f", enlarged to {size}x{size}x{channels}"
        source = f"scikit-learn digits (1,797 images of 8x8{enlarged})"
        return Parts(source, _CLASSES, train, validation, test)

    return build


RECIPES = tuple(
    Recipe(
        name=name,
        splits=("stratified",),
        build=_builder(size, channels),
        version=1,
        shape=(size, size, channels),
        classes=_CLASSES,
        settings={"seed": _SEED, "fractions": _FRACTIONS, "size": size, "channels": channels},
    )
    for name, size, channels in (("digits", 8, 1), ("digits_28x28", 28, 1), ("digits_32x32", 32, 3))
)
