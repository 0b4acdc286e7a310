"""SVHN (Netzer et al. 2011): 32x32 color images of house numbers, cropped around one digit each."""

from pathlib import Path

import numpy as np

from jaxrobust.data.dataset import Parts
from jaxrobust.data.images import image_parts
from jaxrobust.data.images.image_parts import Images
from jaxrobust.data.recipe import Files, Progress, Recipe
from jaxrobust.data.sources import below
from jaxrobust.errors import InputError

CLASSES = tuple("0123456789")
# The 531,131 easier images of `extra_32x32.mat` are not read.
TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
SIDE = 32


def read_matrices(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read images `(n, 32, 32, 3)` and labels from a file of MATLAB.

    Raises:
        InputError: The file is missing, damaged, or not one of SVHN's.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise InputError(f"SVHN is incomplete: {path.parent} has no {path.name}; put it there.")
    try:
        found = loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # damaged files end in many kinds of errors
        raise InputError(f"{path} cannot be read ({error}): delete it and get it again.") from error
    pixels, labels = (np.asarray(found.get(name, np.empty(0))) for name in ("X", "y"))
    n = labels.size
    if pixels.dtype != np.uint8 or pixels.shape != (SIDE, SIDE, 3, n) or not n:
        raise InputError(
            f"{path} is damaged or not one of SVHN's: X has shape {pixels.shape} and dtype {pixels.dtype} "
            f"for {n} labels, but must be ({SIDE}, {SIDE}, 3, labels) of uint8."
        )
    if labels.min() < 1 or labels.max() > 10:
        raise InputError(f"{path} is damaged: its labels lie outside of 1 to 10.")
    # The digit 0 has the label 10.
    return np.moveaxis(pixels, -1, 0), labels.ravel().astype(np.int64) % 10


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, 32, 32, 3)` in [0, 1], labels into `CLASSES`."""
    progress("reading SVHN", 0, 0)
    images = Images(*read_matrices(folder / TRAIN), *read_matrices(folder / TEST))
    return image_parts.image_parts("SVHN", CLASSES, images, split)


def _contents(folder: Path) -> list[Path]:
    return [path for name in (TRAIN, TEST) if (path := folder / name).is_file()]


RECIPE = Recipe(
    name="svhn",
    splits=image_parts.SPLITS,
    build=build,
    version=1,
    shape=(SIDE, SIDE, 3),
    classes=CLASSES,
    settings=image_parts.SETTINGS,
    files=Files(
        locate=below("svhn", "SVHN", holding=lambda folder: bool(_contents(folder))),
        contents=_contents,
        fetch=None,
        advice=f"name the folder that holds {TRAIN} and {TEST} with folder= or in JAXROBUST_DATA",
    ),
)
