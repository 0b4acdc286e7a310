"""STL-10 (Coates et al. 2011): 96x96 color images of ten classes, or resized to 64x64 as for critics."""

import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxrobust.data.dataset import Parts
from jaxrobust.data.images import image_parts
from jaxrobust.data.images.image_parts import Images
from jaxrobust.data.recipe import Files, Progress, Recipe
from jaxrobust.data.sources import below
from jaxrobust.errors import InputError

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
ARCHIVE = "stl10_binary.tar.gz"
# In the archive, or beside each other in its folder; the unlabeled images are not read.
BINARIES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
SIDE = 96


def read_originals(folder: Path, progress: Progress) -> Images:
    """Read images and labels from the archive, or from the four binaries that it holds.

    Raises:
        InputError: A file is missing or damaged.
    """
    found = _from_archive(folder / ARCHIVE, progress) if (folder / ARCHIVE).is_file() else _from_files(folder)
    for name in BINARIES:
        if name not in found:
            raise InputError(f"STL-10 is incomplete: {folder} has no {name}, nor {ARCHIVE} with it.")
    (train, train_labels), (test, test_labels) = (
        _labelled(found, part, folder) for part in ("train", "test")
    )
    return Images(train, train_labels, test, test_labels)


def _from_archive(archive: Path, progress: Progress) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                file = tar.extractfile(member) if member.isfile() and name in BINARIES else None
                if file is not None:
                    progress(f"reading {ARCHIVE}", len(found), len(BINARIES))
                    found[name] = file.read()
                if len(found) == len(BINARIES):
                    break  # behind these come gigabytes of unlabeled images
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive} cannot be read ({error}): delete it and get it again.") from error
    return found


def _from_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in BINARIES if (folder / name).is_file()}


def _labelled(found: Mapping[str, bytes], part: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.frombuffer(found[f"{part}_X.bin"], np.uint8)
    labels = np.frombuffer(found[f"{part}_y.bin"], np.uint8)
    if len(pixels) != 3 * SIDE**2 * len(labels) or not len(labels):
        raise InputError(
            f"STL-10 in {folder} is damaged: {part}_X.bin holds {len(pixels)} bytes for {len(labels)} labels "
            f"of {part}_y.bin, but an image has {3 * SIDE**2}."
        )
    if labels.min() < 1 or labels.max() > len(CLASSES):
        raise InputError(f"STL-10 in {folder} is damaged: labels of {part}_y.bin lie outside of 1 to 10.")
    # Planes of one color, each stored column by column.
    images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 3, 2, 1)
    return images, labels.astype(np.int64) - 1


def resized(images: UInt8[np.ndarray, "n h w c"], side: int) -> UInt8[np.ndarray, "n side side c"]:
    """Resize images by bilinear interpolation over the area of each pixel."""
    from PIL import Image

    return np.stack(
        [np.asarray(Image.fromarray(x).resize((side, side), Image.Resampling.BILINEAR)) for x in images]
    )


def build(side: int, split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, side, side, 3)` in [0, 1], labels into `CLASSES`."""
    images, source = read_originals(folder, progress), "STL-10"
    if side != SIDE:
        progress(f"resizing STL-10 to {side}x{side}", 0, 0)
        train, test = (resized(part, side) for part in (images.train_images, images.test_images))
        images, source = (
            Images(train, images.train_labels, test, images.test_labels),
            f"STL-10 ({side}x{side})",
        )
    return image_parts.image_parts(source, CLASSES, images, split)


def _contents(folder: Path) -> list[Path]:
    archive = folder / ARCHIVE
    return [archive] if archive.is_file() else [p for name in BINARIES if (p := folder / name).is_file()]


def _recipe(name: str, side: int) -> Recipe:
    return Recipe(
        name=name,
        splits=image_parts.SPLITS,
        build=partial(build, side),
        version=1,
        shape=(side, side, 3),
        classes=CLASSES,
        settings={**image_parts.SETTINGS, "side": side},
        files=Files(
            locate=below("stl10", "stl10_binary", holding=lambda folder: bool(_contents(folder))),
            contents=_contents,
            fetch=None,
            advice=f"name the folder that holds {ARCHIVE} with folder= or in JAXROBUST_DATA",
        ),
    )


RECIPES = (_recipe("stl10", SIDE), _recipe("stl10_64", 64))
