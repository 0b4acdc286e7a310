import gzip
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.images import cifar10, fashion_mnist
from jaxrobust.data.images.idx import ORIGINALS, read_idx, read_originals
from jaxrobust.data.images.image_parts import Images, image_parts
from jaxrobust.errors import InputError

COUNT = 200  # images in each part of the small archives made here


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def random_images(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (COUNT, *shape), np.uint8), (np.arange(COUNT) % 10).astype(np.uint8)


def as_rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.fixture
def small_fashion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four small files in the original format, whose checksums tensorflow-datasets expects."""
    folder = tmp_path / "originals"
    folder.mkdir()
    for part, seed in (("train", 0), ("t10k", 1)):
        images, labels = random_images((28, 28), seed)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    expect(monkeypatch, "FashionMNIST", folder, ORIGINALS, "http://127.0.0.1:9/")
    return folder


def expect(monkeypatch, builder: str, folder: Path, files: tuple[str, ...], address: str) -> None:
    """Make the stock builder expect these files, at this address."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo

    infos = {}
    for file in files:
        content = (folder / file).read_bytes()
        info = UrlInfo(size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename=file)
        infos[address + file] = info
    monkeypatch.setattr(getattr(tfds.image_classification, builder), "url_infos", infos)


def test_every_pixel_and_label_arrives(small_fashion: Path, tmp_path: Path):
    dataset = data.load("fashion_mnist", folder=small_fashion, cache=tmp_path)
    images, labels = random_images((28, 28), 1)
    expected = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    pixels = np.round(dataset.test.inputs * 255).astype(np.uint8)
    assert {
        image.tobytes(): label for image, label in zip(pixels, dataset.test.labels, strict=True)
    } == expected
    assert dataset.train.inputs.shape == (180, 28, 28, 1)
    assert data.blank("fashion_mnist").train.inputs.shape == (1, 28, 28, 1)
    assert dataset.validation.counts(10) == (2,) * 10
    assert dataset.source == "Fashion-MNIST"


def test_the_published_split_holds_out_a_fifth(small_fashion: Path, tmp_path: Path):
    dataset = data.load("fashion_mnist", split="published", folder=small_fashion, cache=tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (160, 40, 200)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_a_wrong_checksum_is_refused_and_asked_for_again(small_fashion: Path, tmp_path: Path, part: str):
    file = small_fashion / f"{part}-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(
        InputError, match=rf"{file.name} of fashion_mnist .* wrong checksum.*: delete it and get"
    ):
        data.load("fashion_mnist", folder=small_fashion, cache=tmp_path)
    assert not list((tmp_path / "prepared").glob("fashion*"))


def test_a_missing_file_is_named(small_fashion: Path, tmp_path: Path):
    (small_fashion / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match="incomplete: put the original train-labels-idx1"):
        data.load("fashion_mnist", folder=small_fashion, cache=tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server for the folder `originals`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments) -> None:
            pass

    serve = partial(Quiet, directory=str(tmp_path / "originals"))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()


def test_a_download_is_prepared_so_that_the_stock_builder_finds_it(
    small_fashion: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import tensorflow_datasets as tfds

    expect(monkeypatch, "FashionMNIST", small_fashion, ORIGINALS, server)
    downloaded = data.load("fashion_mnist", cache=tmp_path / "cache")
    local = data.load("fashion_mnist", folder=small_fashion, cache=tmp_path / "other")
    assert downloaded.fingerprint == local.fingerprint
    stock = tfds.data_source("fashion_mnist", data_dir=str(tmp_path / "cache/downloads/fashion_mnist"))
    assert as_rows(np.stack([example["image"] for example in stock["test"]])) == as_rows(
        random_images((28, 28), 1)[0]
    )


def test_a_damaged_download_is_refused_and_not_kept(
    small_fashion: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expect(monkeypatch, "FashionMNIST", small_fashion, ORIGINALS, server)
    (small_fashion / ORIGINALS[0]).write_bytes(b"a page that says: come back later")
    with pytest.raises(InputError, match="from the download has a wrong checksum") as caught:
        data.load("fashion_mnist", cache=tmp_path / "cache")
    assert not isinstance(caught.value, data.DataNotFound)
    assert not data.available("fashion_mnist", cache=tmp_path / "cache")


def test_without_network_the_caller_learns_to_use_a_stand_in(small_fashion: Path, tmp_path: Path):
    with pytest.raises(data.DataNotFound, match="could not be downloaded"):
        data.load("fashion_mnist", cache=tmp_path / "cache")


@pytest.mark.parametrize("content", [b"", b"text", b"\0\0\x0d\x01\0\0\0\x01...."])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, pack):
    (tmp_path / "file.gz").write_bytes(pack(content))
    with pytest.raises(InputError, match=r"file.gz is no idx file"):
        read_idx(tmp_path / "file.gz")


def cifar_archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def planes(images: np.ndarray) -> np.ndarray:
    """Images as rows of 3072 bytes: red, green, blue."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


@pytest.mark.parametrize("form", ["binary", "python"])
def test_both_original_archives_of_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str):
    folder = tmp_path / "originals"
    folder.mkdir()
    images, labels = random_images((32, 32, 3), 2)
    files = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}
    for name in ("test_batch", "data_batch_1", "data_batch_2"):
        rows = slice(0, 100) if name == "data_batch_1" else slice(100, None)
        if name == "test_batch":
            rows = slice(None)
        if form == "binary":
            batch = np.concatenate([labels[rows, None], planes(images[rows])], axis=1)
            files[f"cifar-10-batches-bin/{name}.bin"] = batch.tobytes()
        else:
            content = {b"data": planes(images[rows]), b"labels": labels[rows].tolist()}
            files[f"cifar-10-batches-py/{name}"] = pickle.dumps(content)
    archive = folder / f"cifar-10-{form}.tar.gz"
    cifar_archive(archive, files)
    if form == "binary":
        expect(monkeypatch, "Cifar10", folder, (archive.name,), "http://127.0.0.1:9/")
    else:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(cifar10, "_PYTHON_SHA256", digest)
    dataset = data.load("cifar10", folder=folder, cache=tmp_path)
    pixels = np.round(dataset.test.inputs * 255).astype(np.uint8)
    found = {image.tobytes(): label for image, label in zip(pixels, dataset.test.labels, strict=True)}
    assert found == {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert len(dataset.train) + len(dataset.validation) == COUNT
    assert dataset.source == "CIFAR-10"


@pytest.mark.parametrize("form", ["binary", "python"])
def test_a_cut_archive_of_cifar10_is_refused(tmp_path: Path, form: str):
    (tmp_path / f"cifar-10-{form}.tar.gz").write_bytes(b"the beginning")
    with pytest.raises(
        InputError, match=rf"cifar-10-{form}.tar.gz .*wrong checksum.*delete it and get it again"
    ):
        data.load("cifar10", folder=tmp_path, cache=tmp_path)


def test_a_missing_half_of_the_jpeg_archives_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    train, test = cifar10._JPEG
    (tmp_path / test).write_bytes(b"")
    with pytest.raises(InputError, match=f"{train} is missing in"):
        data.load("cifar10", folder=tmp_path, cache=tmp_path)


def test_images_sorted_by_class_are_shuffled():
    images, labels = random_images((4, 4, 1), 0)
    labels = np.sort(labels)
    parts = image_parts("toys", tuple("0123456789"), Images(images, labels, images, labels), "clean")
    for part in (parts.train, parts.validation, parts.test):
        assert len(set(part.labels[: len(part) // 5].tolist())) > 2
    pixels = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    found = np.round(parts.test.inputs * 255).astype(np.uint8)
    assert [pixels[image.tobytes()] for image in found] == parts.test.labels.tolist()


def test_no_training_image_is_held_out_as_well():
    images, labels = random_images((4, 4, 1), 0)
    parts = image_parts(
        "toys", tuple("0123456789"), Images(images, labels, images[:10], labels[:10]), "clean"
    )
    rows = [as_rows(np.round(part.inputs * 255).astype(np.uint8)) for part in (parts.train, parts.validation)]
    assert len(rows[0]) == 180
    assert len(rows[1]) == 20
    assert not rows[0] & rows[1]


@pytest.mark.data
@pytest.mark.parametrize(("name", "mean"), [("fashion_mnist", 0.2860), ("mnist", 0.1307)])
def test_the_original_files_hold_the_published_images(real_data: Path, name: str, mean: float):
    parts = read_originals({file: real_data / name / file for file in ORIGINALS})
    assert parts["train"][0].shape == (60000, 28, 28, 1)
    assert len(parts["test"][1]) == 10000
    assert parts["train"][0].mean() / 255 == pytest.approx(mean, abs=1e-4)


@pytest.mark.data
@pytest.mark.slow
def test_fashion_mnist(real_data: Path, tmp_path: Path):
    dataset = data.load("fashion_mnist", folder=real_data, cache=tmp_path)
    assert dataset.train.counts(10) == (5400,) * 10
    assert dataset.validation.counts(10) == (600,) * 10
    assert dataset.test.counts(10) == (1000,) * 10
    assert (dataset.train.inputs.min(), dataset.train.inputs.max()) == (0, 1)
    # The published mean grey value of the training images is 0.2860.
    everything = np.concatenate([dataset.train.inputs, dataset.validation.inputs])
    assert everything.mean() == pytest.approx(0.2860, abs=1e-4)
    boots = dataset.test.inputs[dataset.test.labels == fashion_mnist.CLASSES.index("ankle boot")]
    trousers = dataset.test.inputs[dataset.test.labels == fashion_mnist.CLASSES.index("trouser")]
    assert boots[:, 14:, :14].mean() > 2 * trousers[:, 14:, :6].mean()


@pytest.mark.data
@pytest.mark.slow
def test_mnist(real_data: Path, tmp_path: Path):
    dataset = data.load("mnist", folder=real_data, cache=tmp_path)
    assert dataset.test.counts(10) == (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert len(dataset.train) + len(dataset.validation) == 60000
    everything = np.concatenate([dataset.train.inputs, dataset.validation.inputs])
    assert everything.mean() == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_as_jpeg_says_so(real_data: Path, tmp_path: Path):
    dataset = data.load("cifar10", folder=real_data, cache=tmp_path)
    assert dataset.source == "CIFAR-10 (JPEG q75)"
    assert dataset.train.counts(10) == (4500,) * 10
    assert dataset.test.counts(10) == (1000,) * 10
    # The published means of the three colours over the training images.
    everything = np.concatenate([dataset.train.inputs, dataset.validation.inputs])
    np.testing.assert_allclose(
        everything.mean(axis=(0, 1, 2), dtype=np.float64), [0.4914, 0.4822, 0.4465], atol=2e-3
    )


@pytest.mark.data
def test_the_jpeg_copies_have_the_colours_and_classes_of_the_lossless_images(real_data: Path):
    import json

    from PIL import Image

    folder = real_data / "cifar10"
    sheet = np.asarray(Image.open(folder / "cifar10_batch_0.png").convert("RGB")).reshape(1000, 32, 32, 3)
    labels = json.loads((folder / "cifar10_batch_0-3_labels.json").read_text())
    labels = np.array(labels["labels"] if isinstance(labels, dict) else labels)[:1000]
    frogs = sheet[labels == cifar10.CLASSES.index("frog")].astype(float)
    first_frogs = []
    for name, content in cifar10._members(folder / "cifar10_jpeg75_train.tar.xz"):
        if "/frog/" in f"/{name}":
            first_frogs.append(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float))
            if len(first_frogs) == 3:
                break
    for frog in first_frogs:
        assert np.sqrt(((frogs - frog) ** 2).mean(axis=(1, 2, 3)).min()) < 20, "about 30 dB"
