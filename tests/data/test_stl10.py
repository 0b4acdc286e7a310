"""STL-10 from synthetic archives and binaries: every pixel and label arrives; damaged files are named."""

import io
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.images.stl10 import ARCHIVE, BINARIES, CLASSES, SIDE
from jaxrobust.errors import InputError

COUNT = 100


@cache
def originals(seed: int) -> tuple[np.ndarray, np.ndarray, bytes, bytes]:
    """Images (n, row, column, color) with labels, and both as the original files store them."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
    labels = np.arange(COUNT) % 10
    stored = bytearray()
    for image in images:
        for color in range(3):
            for column in range(SIDE):
                stored += image[:, column, color].tobytes()
    return images, labels, bytes(stored), (labels + 1).astype(np.uint8).tobytes()


def contents() -> dict[str, bytes]:
    train, test = originals(0), originals(1)
    return dict(zip(BINARIES, (train[2], train[3], test[2], test[3]), strict=True))


def write_archive(folder: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"stl10_binary/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("form", ["archive", "binaries"])
def test_every_pixel_and_label_arrives(tmp_path: Path, form: str):
    folder = tmp_path / "stl10"
    folder.mkdir()
    if form == "archive":
        write_archive(folder, contents() | {"unlabeled_X.bin": b"never read"})
    else:
        for name, content in contents().items():
            (folder / name).write_bytes(content)
    loaded = data.load("stl10", folder=tmp_path, cache=tmp_path / "cache")
    images, labels, *_ = originals(1)
    expected = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    pixels = np.round(loaded.test.inputs * 255).astype(np.uint8)
    assert loaded.source == "STL-10"
    assert tuple(loaded.classes) == CLASSES
    assert {x.tobytes(): y for x, y in zip(pixels, loaded.test.labels, strict=True)} == expected
    assert len(loaded.train.labels) + len(loaded.validation.labels) == COUNT


def test_the_resized_images_say_so_and_keep_their_mean(tmp_path: Path):
    write_archive(tmp_path, contents())
    loaded = data.load("stl10_64", folder=tmp_path, cache=tmp_path / "cache")
    assert loaded.source == "STL-10 (64x64)"
    assert loaded.test.inputs.shape == (COUNT, 64, 64, 3)
    images = originals(1)[0]
    assert np.isclose(loaded.test.inputs.mean(), images.mean() / 255, atol=0.005)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"test_y.bin": None}, "incomplete.*no test_y.bin"),
        ({"train_X.bin": b"123"}, "damaged: train_X.bin holds 3 bytes for 100 labels"),
        ({"test_y.bin": bytes([11] * COUNT)}, "labels of test_y.bin lie outside"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, change: dict[str, bytes | None], says: str):
    write_archive(tmp_path, {n: c for n, c in (contents() | change).items() if c is not None})
    with pytest.raises(InputError, match=says):
        data.load("stl10", folder=tmp_path, cache=tmp_path / "cache")


def test_a_cut_archive_is_refused(tmp_path: Path):
    write_archive(tmp_path, contents())
    whole = (tmp_path / ARCHIVE).read_bytes()
    (tmp_path / ARCHIVE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot be read .*delete it and get it again"):
        data.load("stl10", folder=tmp_path, cache=tmp_path / "cache")
