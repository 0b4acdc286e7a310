import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from jaxrobust.data.dataset import Examples, Parts
from jaxrobust.data.preparation import MANIFEST, check, prepare, read
from jaxrobust.errors import InputError

FACTS = {"name": "toy", "split": "only", "synthetic": True, "settings": {}}


def examples(n: int, seed: int, **changes) -> Examples:
    random = np.random.default_rng(seed)
    arrays = {
        "inputs": random.normal(size=(n, 5, 2)).astype(np.float32),
        "labels": (np.arange(n) % 2).astype(np.int32),
        "groups": np.arange(n),
    }
    return Examples(**(arrays | changes))


def toy(**changes) -> Parts:
    return Parts("toys", ("a", "b"), examples(8, 0, **changes), examples(4, 1), examples(6, 2))


def test_what_was_built_comes_back_memory_mapped_and_read_only(tmp_path: Path):
    built = toy()
    dataset = prepare(tmp_path / "toy", lambda: built, FACTS)
    for part in ("train", "validation", "test"):
        for array in ("inputs", "labels", "groups"):
            found = getattr(getattr(dataset, part), array)
            np.testing.assert_array_equal(found, getattr(getattr(built, part), array))
            assert isinstance(found, np.memmap)
            assert not found.flags.writeable
    assert (dataset.name, dataset.source, dataset.classes) == ("toy", "toys", ("a", "b"))


def test_a_second_call_builds_nothing(tmp_path: Path):
    first = prepare(tmp_path / "toy", toy, FACTS)
    second = prepare(tmp_path / "toy", lambda: pytest.fail("built twice"), FACTS)
    assert first.fingerprint == second.fingerprint


def test_groups_may_be_absent(tmp_path: Path):
    dataset = prepare(tmp_path / "toy", lambda: toy(groups=None), FACTS)
    assert dataset.train.groups is None
    assert dataset.test.groups is not None


def test_the_fingerprint_depends_on_every_number(tmp_path: Path):
    other = examples(8, 0).inputs.copy()
    other[3, 2, 1] += 1
    first = prepare(tmp_path / "a", toy, FACTS)
    assert prepare(tmp_path / "b", toy, FACTS).fingerprint == first.fingerprint
    assert prepare(tmp_path / "c", lambda: toy(inputs=other), FACTS).fingerprint != first.fingerprint


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path):
    def broken() -> Parts:
        raise InputError("the source is broken: mend it")

    with pytest.raises(InputError, match="the source is broken"):
        prepare(tmp_path / "toy", broken, FACTS)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert prepare(tmp_path / "toy", toy, FACTS).name == "toy"


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path):
    (tmp_path / ".toy.xyz.partial").mkdir()
    prepare(tmp_path / "toy", toy, FACTS)
    assert not (tmp_path / ".toy.xyz.partial").exists()


def _slow_toy(log: str) -> Parts:
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.3)
    return toy()


def _prepare_in_a_process(folder: str, log: str) -> str:
    return prepare(Path(folder), lambda: _slow_toy(log), FACTS).fingerprint


def test_several_processes_prepare_once_and_see_the_same(tmp_path: Path):
    log = tmp_path / "log"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        work = [(str(tmp_path / "prepared" / "toy"), str(log))] * 3
        fingerprints = pool.starmap(_prepare_in_a_process, work)
    assert len(set(fingerprints)) == 1
    assert len(log.read_text().splitlines()) == 1


def test_without_locks_the_first_rename_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*arguments) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    def overtaken() -> Parts:
        prepare(tmp_path / "toy", toy, FACTS)  # another process finishes while this one builds
        return toy()

    assert prepare(tmp_path / "toy", overtaken, FACTS).name == "toy"
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob(".*.partial"))


def test_a_cut_array_is_refused_with_the_remedy(tmp_path: Path):
    prepare(tmp_path / "toy", toy, FACTS)
    array = tmp_path / "toy" / "train_inputs.npy"
    array.write_bytes(array.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"damaged \(train_inputs.npy has .* delete that folder"):
        read(tmp_path / "toy")


def test_a_missing_manifest_is_refused(tmp_path: Path):
    prepare(tmp_path / "toy", toy, FACTS)
    (tmp_path / "toy" / MANIFEST).unlink()
    with pytest.raises(InputError, match="delete that folder"):
        read(tmp_path / "toy")


def test_check_finds_a_changed_byte(tmp_path: Path):
    prepare(tmp_path / "toy", toy, FACTS)
    check(tmp_path / "toy")
    array = tmp_path / "toy" / "test_labels.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(InputError, match=r"test_labels.npy .* checksum"):
        check(tmp_path / "toy")


def test_the_manifest_states_settings_and_checksums(tmp_path: Path):
    prepare(tmp_path / "toy", toy, FACTS | {"settings": {"seed": 3}})
    manifest = json.loads((tmp_path / "toy" / MANIFEST).read_text())
    assert manifest["settings"] == {"seed": 3}
    assert manifest["arrays"]["train_inputs"]["shape"] == [8, 5, 2]
    assert len(manifest["arrays"]["train_inputs"]["sha256"]) == 64


def test_an_unwritable_folder_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written to .*file.* cache="):
        prepare(tmp_path / "file" / "toy", toy, FACTS)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match=r"No space left on device.: make room there"):
        prepare(tmp_path / "toy", toy, FACTS)
    assert not any(path.is_dir() for path in tmp_path.iterdir())


def test_an_unreadable_source_is_not_taken_for_an_unwritable_cache(tmp_path: Path):
    def unreadable() -> Parts:
        raise OSError("input/output error")

    with pytest.raises(InputError, match="The files of toy cannot be read"):
        prepare(tmp_path / "toy", unreadable, FACTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(8, np.int32)}, "no sample of class 'b' in its train part"),
        ({"labels": np.array([0, 1] * 3 + [0, 2], np.int32)}, r"labels outside 0\.\.1 in train"),
        ({"inputs": np.full((8, 5, 2), np.nan, np.float32)}, "not finite in train"),
    ],
)
def test_arrays_that_no_network_could_use_are_refused(tmp_path: Path, changes, message: str):
    with pytest.raises(InputError, match=message):
        prepare(tmp_path / "toy", lambda: toy(**changes), FACTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.zeros((8, 5, 2))}, "Inputs are float64"),
        ({"labels": np.zeros(8, np.int64)}, "Labels are int64"),
        ({"labels": np.zeros(7, np.int32)}, r"shape \(7,\) for 8 inputs"),
        ({"groups": np.zeros(7, np.int64)}, r"Groups have shape \(7,\) for 8 samples"),
    ],
)
def test_examples_refuse_arrays_that_do_not_fit(changes, message: str):
    with pytest.raises(InputError, match=message):
        examples(8, 0, **changes)
