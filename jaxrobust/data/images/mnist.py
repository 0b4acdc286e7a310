"""MNIST: handwritten digits, 28x28 grey."""

from pathlib import Path

from jaxrobust.data.dataset import Parts
from jaxrobust.data.images import image_parts
from jaxrobust.data.images.idx import ORIGINALS, read_originals
from jaxrobust.data.images.tfds_images import TfdsImages
from jaxrobust.data.recipe import Progress, Recipe

CLASSES = tuple("0123456789")
_SET = TfdsImages("mnist", ORIGINALS, read_originals)


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, 28, 28, 1)` in [0, 1], labels into `CLASSES`."""
    return image_parts.image_parts("MNIST", CLASSES, _SET.images(folder, progress), split)


RECIPE = Recipe(
    name="mnist",
    splits=(*image_parts.SPLITS, image_parts.LEADING),
    build=build,
    version=2,
    shape=(28, 28, 1),
    classes=CLASSES,
    settings=image_parts.SETTINGS,
    files=_SET.files(
        "mnist",
        "MNIST/raw",
        "tensorflow_datasets",
        advice="name the folder that holds train-images-idx3-ubyte.gz and the other three originals with "
        "folder= or in JAXROBUST_DATA",
    ),
)
