import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data import sources
from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.recipe import Files, Recipe
from jaxrobust.errors import InputError


def _build(split: str, folder: Path, progress) -> Parts:
    number = float((folder / "number.txt").read_text())
    part = Examples(np.full((4, 3), number, np.float32), np.array([0, 1, 0, 1], np.int32))
    progress("reading", 4, 4)
    return Parts("a number", ("even", "odd"), part, part, part)


def _recipe(fetch=None) -> Recipe:
    files = Files(
        locate=sources.below("number", holding=lambda folder: (folder / "number.txt").is_file()),
        contents=lambda folder: [folder / "number.txt"],
        fetch=fetch,
        advice="write number.txt",
    )
    return Recipe(
        "number",
        ("first", "second"),
        _build,
        version=1,
        shape=(1,),
        classes=("a", "b"),
        settings={"seed": 1},
        files=files,
    )


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch):
    """Registers a data set "number" that is one file, and returns a function to change how it is fetched."""

    def register(fetch=None) -> None:
        monkeypatch.setattr(data, "DATASETS", {"number": _recipe(fetch)})

    register()
    return register


def write(folder: Path, number: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "number.txt").write_text(str(number))
    return folder


def test_places_are_looked_at_in_the_documented_order(number, tmp_path: Path, monkeypatch):
    cache = tmp_path / "cache"

    def found() -> float:
        return float(data.load("number", cache=cache).train.inputs[0, 0])

    write(cache / "downloads" / "number", 4)
    assert found() == 4
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    write(tmp_path / "scratch" / "number", 3)
    assert found() == 3
    monkeypatch.setenv("JAXROBUST_DATA", str(tmp_path / "data"))
    assert found() == 3, "a place that does not hold the set is passed over"
    write(tmp_path / "data", 2)
    assert found() == 2
    assert data.load("number", folder=write(tmp_path / "own", 1), cache=cache).train.inputs[0, 0] == 1


def test_a_folder_may_be_named_by_a_variable(number, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    write(tmp_path / "scratch" / "numbers", 5)
    found = data.load("number", folder="$SCRATCH/numbers", cache=tmp_path / "cache")
    assert found.train.inputs[0, 0] == 5
    assert data.available("number", folder="$SCRATCH/numbers", cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "folder", "files"),
    [
        ("mitdb", "ecg_recordings", ["100.hea", "100.dat", "100.atr"]),
        ("speech_commands", "speech_dataset", ["speech_commands_v0.02.tar.gz"]),
        ("fashion_mnist", "fashion_mnist", ["train-images-idx3-ubyte.gz"]),
    ],
)
def test_the_published_folders_below_scratch_are_looked_at(name, folder, files, tmp_path: Path):
    (tmp_path / folder).mkdir()
    for file in files:
        (tmp_path / folder / file).touch()
    source = data.DATASETS[name].files
    assert source is not None
    assert source.locate(tmp_path) == tmp_path / folder


def test_a_named_folder_without_the_set_is_an_error_and_nothing_else_is_tried(number, tmp_path: Path):
    write(tmp_path / "cache" / "downloads" / "number", 4)
    with pytest.raises(InputError, match=r"number is not in .*elsewhere: write") as caught:
        data.load("number", folder=tmp_path / "elsewhere", cache=tmp_path / "cache")
    assert not isinstance(caught.value, data.DataNotFound), "no stand-in for a mistyped folder"


def test_changed_files_are_prepared_anew(number, tmp_path: Path):
    folder = write(tmp_path / "own", 1)
    first = data.load("number", folder=folder, cache=tmp_path)
    write(folder, 22)
    second = data.load("number", folder=folder, cache=tmp_path)
    assert second.train.inputs[0, 0] == 22
    assert first.fingerprint != second.fingerprint


def test_prepared_arrays_serve_where_the_files_are_gone(number, tmp_path: Path):
    folder = write(tmp_path / "own", 5)
    data.load("number", folder=folder, cache=tmp_path / "cache")
    assert data.available("number", cache=tmp_path / "cache")
    assert data.load("number", cache=tmp_path / "cache").train.inputs[0, 0] == 5
    with pytest.raises(data.DataNotFound):
        data.load("number", split="second", cache=tmp_path / "cache")


def test_nothing_anywhere_names_the_places_and_the_remedy(number, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    with pytest.raises(data.DataNotFound) as caught:
        data.load("number", cache=tmp_path / "cache")
    message = str(caught.value)
    for part in ("$JAXROBUST_DATA (not set)", "$SCRATCH", str(tmp_path / "cache"), "write number.txt"):
        assert part in message
    assert not data.available("number", cache=tmp_path / "cache")


def test_a_download_is_kept_and_found_again(number, tmp_path: Path):
    calls = []

    def fetch(folder: Path, progress) -> None:
        calls.append(folder)
        write(folder, 8)

    number(fetch)
    assert data.load("number", cache=tmp_path).train.inputs[0, 0] == 8
    assert data.load("number", split="second", cache=tmp_path).train.inputs[0, 0] == 8
    assert len(calls) == 1
    assert [path.name for path in (tmp_path / "downloads").iterdir() if path.is_dir()] == ["number"]


def test_a_failed_download_says_why_and_leaves_nothing(number, tmp_path: Path):
    def fetch(folder: Path, progress) -> None:
        write(folder, 8)
        raise ConnectionError("no route to host")

    number(fetch)
    with pytest.raises(data.DataNotFound, match="no route to host"):
        data.load("number", cache=tmp_path)
    assert not any(path.is_dir() for path in (tmp_path / "downloads").iterdir())


def test_a_full_disk_is_not_taken_for_a_missing_network(number, tmp_path: Path):
    def fetch(folder: Path, progress) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    number(fetch)
    with pytest.raises(InputError, match=r"cannot be written .No space left on device.: make room") as caught:
        data.load("number", cache=tmp_path)
    assert not isinstance(caught.value, data.DataNotFound)


def test_an_incomplete_download_of_another_kind_is_named(number, tmp_path: Path):
    number(lambda folder, progress: None)
    (tmp_path / "downloads" / "number").mkdir(parents=True)
    with pytest.raises(InputError, match="is incomplete and in the way of a download: delete it"):
        data.load("number", cache=tmp_path)


def test_progress_is_reported(number, tmp_path: Path):
    seen = []
    data.load(
        "number",
        folder=write(tmp_path / "own", 1),
        cache=tmp_path,
        progress=lambda what, done, total: seen.append((what, done, total)),
    )
    assert seen == [("reading", 4, 4)]


def test_unknown_names_and_splits_get_the_nearest_one():
    with pytest.raises(InputError, match="no data set 'mitbd': did you mean 'mitdb'"):
        data.load("mitbd")
    with pytest.raises(InputError, match="no data set 'mitbd'"):
        data.available("mitbd")
    with pytest.raises(InputError, match="mitdb has no split 'patient': did you mean 'patients'"):
        data.load("mitdb", split="patient")


def test_download_refuses_a_wrong_checksum(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"something else")
    with pytest.raises(InputError, match="wrong checksum and was thrown away"):
        sources.download(source.as_uri(), tmp_path / "target", "0" * 64, lambda *_: None)
    assert not (tmp_path / "target").exists()


def test_every_stand_in_is_built_in_and_every_name_exists():
    for name, stand_in in data.STAND_INS.items():
        assert name in data.DATASETS
        assert data.DATASETS[stand_in].files is None
        assert data.available(stand_in)


def test_importing_the_package_is_cheap():
    heavy = ("jax", "wfdb", "pandas", "sklearn", "scipy", "tensorflow_datasets", "soundfile", "datajuicer")
    command = f"import sys, jaxrobust.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
