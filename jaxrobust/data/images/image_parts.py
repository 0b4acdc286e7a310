"""From all images of a data set to its training, validation and test parts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer, UInt8

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.sampling import stratified_parts

_SEED = 42
# The share of the training images that is held out for validation. The published split holds out 20 % of a
# set that has two augmented copies of every image; here there are no copies, so that no twin can leak.
_VALIDATION = {"clean": 0.1, "published": 0.2}
SPLITS = tuple(_VALIDATION)
# The validation part of the published sparse tickets: the first sixth of the training images in the order of
# the files, 10,000 of MNIST and Fashion-MNIST. No part is shuffled.
LEADING = "leading"
SETTINGS = {"seed": _SEED, "validation": _VALIDATION}


@dataclass(frozen=True)
class Images:
    """The images and labels of one data set as published: pixels 0..255, channels last."""

    train_images: UInt8[np.ndarray, "n h w c"]
    train_labels: Integer[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m h w c"]
    test_labels: Integer[np.ndarray, " m"]


def image_parts(source: str, classes: tuple[str, ...], images: Images, split: str) -> Parts:
    """Float images in [0, 1]; the validation part is a seeded, stratified draw of the training images.

    All parts are shuffled with the seed, as some archives are sorted by class; but for the split ``leading``.
    """
    if split == LEADING:
        held = len(images.train_labels) // 6
        return Parts(
            source,
            classes,
            _examples(images.train_images[held:], images.train_labels[held:]),
            _examples(images.train_images[:held], images.train_labels[:held]),
            _examples(images.test_images, images.test_labels),
        )
    random, held = np.random.default_rng(_SEED), _VALIDATION[split]
    train, validation = map(
        random.permutation, stratified_parts(images.train_labels, (1 - held, held), random)
    )
    test = random.permutation(len(images.test_labels))
    return Parts(
        source,
        classes,
        _examples(images.train_images[train], images.train_labels[train]),
        _examples(images.train_images[validation], images.train_labels[validation]),
        _examples(images.test_images[test], images.test_labels[test]),
    )


def _examples(pixels: np.ndarray, labels: np.ndarray) -> Examples:
    scaled = pixels.astype(np.float32)
    scaled /= 255
    return Examples(scaled, labels.astype(np.int32))
