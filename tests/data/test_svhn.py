"""SVHN from synthetic files of MATLAB: every pixel and label arrives; damaged files are named."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from jaxrobust import data
from jaxrobust.data.images.svhn import CLASSES, TEST, TRAIN
from jaxrobust.errors import InputError

COUNT = 100


def originals(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and the digits that they show."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (COUNT, 32, 32, 3), np.uint8), np.arange(COUNT) % 10


def write(path: Path, seed: int, **changed: np.ndarray) -> None:
    images, digits = originals(seed)
    labels = np.where(digits == 0, 10, digits)[:, None].astype(np.uint8)
    savemat(path, {"X": np.moveaxis(images, 0, -1), "y": labels, **changed})


def test_every_pixel_and_label_arrives(tmp_path: Path):
    folder = tmp_path / "svhn"
    folder.mkdir()
    write(folder / TRAIN, 0)
    write(folder / TEST, 1)
    loaded = data.load("svhn", folder=tmp_path, cache=tmp_path / "cache")
    images, digits = originals(1)
    expected = {image.tobytes(): digit for image, digit in zip(images, digits, strict=True)}
    pixels = np.round(loaded.test.inputs * 255).astype(np.uint8)
    assert {x.tobytes(): y for x, y in zip(pixels, loaded.test.labels, strict=True)} == expected
    assert loaded.source == "SVHN"
    assert tuple(loaded.classes) == CLASSES
    assert (len(loaded.train), len(loaded.validation)) == (90, 10)
    assert data.blank("svhn").train.inputs.shape == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "incomplete.*no test_32x32.mat"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50_000]), "cannot be read"),
        (lambda path: path.write_bytes(b"a page that says: come back later"), "cannot be read"),
        (lambda path: write(path, 1, y=np.full((COUNT, 1), 11)), "labels lie outside of 1 to 10"),
        (lambda path: write(path, 1, y=np.ones((3, 1))), "for 3 labels"),
        (lambda path: savemat(path, {"other": np.ones(3)}), r"X has shape \(0,\)"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage, says: str):
    write(tmp_path / TRAIN, 0)
    write(tmp_path / TEST, 1)
    damage(tmp_path / TEST)
    with pytest.raises(InputError, match=says):
        data.load("svhn", folder=tmp_path, cache=tmp_path / "cache")
