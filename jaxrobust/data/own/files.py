"""Users' files: ``.npz`` archives, folders of images and folders of recorded words, read as arrays."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.data.own.arrays import Given
from jaxrobust.errors import InputError

PARTS = ("train", "validation", "test")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")
SOUNDS = (".wav", ".flac", ".ogg")
_FIELDS = ("inputs", "labels", "lengths", "groups")

Read = tuple[dict[str, Given | None], tuple[str, ...] | None]


def looks_like_path(name: str) -> bool:
    """Whether a word that names no data set is meant as a file or folder."""
    return "/" in name or "\\" in name or name.endswith(".npz") or Path(name).is_dir()


def read_path(path: Path) -> Read:
    """The parts and classes in a file or folder.

    Raises:
        InputError: There is none, or it does not hold what it should.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: give the path of a .npz file or of a folder.")
    if path.suffix != ".npz":
        raise InputError(f"{path} is no .npz file: save arrays with numpy.savez, or give a folder.")
    return _read_npz(path)


def _read_npz(path: Path) -> Read:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} is not what its name says ({error}): save plain arrays with numpy.savez."
        ) from error
    known = {f"{part}_{field}" for part in PARTS for field in _FIELDS} | {"classes"}
    if odd := sorted(set(arrays) - known):
        raise InputError(
            f"{path} holds the array {odd[0]!r}: name arrays train_inputs, train_labels, and the same for "
            f"validation and test; also classes, and …_lengths or …_groups."
        )
    given: dict[str, Given | None] = {}
    for part in PARTS:
        there = {field: arrays[f"{part}_{field}"] for field in _FIELDS if f"{part}_{field}" in arrays}
        if there and not {"inputs", "labels"} <= there.keys():
            raise InputError(f"{path} needs both {part}_inputs and {part}_labels.")
        given[part] = Given(**there) if there else None
    if given["train"] is None:
        raise InputError(f"{path} has no arrays train_inputs and train_labels.")
    classes = tuple(map(str, arrays["classes"])) if "classes" in arrays else None
    return given, classes


def _read_folder(path: Path) -> Read:
    roots = {part: path / part for part in PARTS if (path / part).is_dir()} or {"train": path}
    if "train" not in roots:
        raise InputError(f"{path} has no folder train beside {', '.join(roots)}.")
    files = {part: _by_class(root) for part, root in roots.items()}
    classes = tuple(sorted(files["train"]))
    if len(classes) < 2:
        raise InputError(
            f"{path} must hold one folder per class, at least two, with images or sounds in each."
        )
    for part, found in files.items():
        if odd := sorted(set(found) - set(classes)):
            raise InputError(f"{roots[part]} has a class {odd[0]!r} that the training data lack.")
    every = [file for found in files.values() for each in found.values() for file in each]
    are_images = {file.suffix.lower() in IMAGES for file in every}
    if len(are_images) > 1:
        raise InputError(f"{path} holds images and sounds: give one kind per data set.")
    reader = _read_images if are_images == {True} else _read_words
    given: dict[str, Given | None] = dict.fromkeys(PARTS)
    given |= {part: reader(found, classes) for part, found in files.items()}
    return given, classes


def _by_class(root: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] not in "._"):
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (*IMAGES, *SOUNDS))
        if files:
            found[folder.name] = files
    return found


def _labelled(
    files: dict[str, list[Path]], classes: tuple[str, ...], read: Callable[[Path], Iterable[np.ndarray]]
) -> tuple[list[np.ndarray], list[int], list[int]]:
    samples: list[np.ndarray] = []
    labels: list[int] = []
    groups: list[int] = []
    n_files = 0
    for name, paths in files.items():
        for path in paths:
            before = len(samples)
            samples.extend(read(path))
            labels += [classes.index(name)] * (len(samples) - before)
            groups += [n_files] * (len(samples) - before)
            n_files += 1
    return samples, labels, groups


def _read_images(files: dict[str, list[Path]], classes: tuple[str, ...]) -> Given:
    from PIL import Image, UnidentifiedImageError

    first: list[tuple[Path, tuple[int, ...]]] = []

    def read(path: Path) -> list[np.ndarray]:
        try:
            with Image.open(path) as image:
                pixels = _pixels(image)
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(f"{path} is not what its name says ({error}): delete or replace it.") from error
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        first.append((path, pixels.shape))
        if pixels.shape != first[0][1]:
            raise InputError(
                f"{path} has the shape {pixels.shape}, {first[0][0]} {first[0][1]}: resize all images to one "
                f"size and number of channels."
            )
        return [pixels]

    samples, labels, _ = _labelled(files, classes, read)
    return Given(np.stack(samples), np.array(labels))


def _pixels(image: Any) -> np.ndarray:
    """An image as float32 in [0, 1], grey or with three channels; floating-point pixels as they are."""
    if image.mode == "F":
        return np.asarray(image, np.float32)
    if image.mode.startswith("I"):  # 16 bits, which Pillow also opens as 32
        return np.asarray(image, np.float32) / 65535
    is_grey = image.mode in ("1", "L", "LA", "La")
    return np.asarray(image.convert("L" if is_grey else "RGB"), np.float32) / 255


def _read_words(files: dict[str, list[Path]], classes: tuple[str, ...]) -> Given:
    from jaxrobust.data.own.sounds import frames_of

    samples, labels, groups = _labelled(files, classes, frames_of)
    return Given(np.stack(samples), np.array(labels), None, np.array(groups))
