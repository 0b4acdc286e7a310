"""Stores that somebody else made: nothing in them leads out of the store, and nothing of theirs is run."""

import json
import os
import shutil
import time
import warnings
from hashlib import blake2b, sha256
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer import Store, StoreWarning, UsageError
from datajuicer.store import reading
from datajuicer.store.record import format_record, parse_record

OWNED = b"owned\n"
ENTRY = [sha256(OWNED).hexdigest(), len(OWNED)]


@dj.cachable(["n"], table_name="art", on_code_change="ignore")
def art(n, job):
    (job.folder / "file.bin").write_bytes(OWNED)
    return {"n": n, "f": job.artifact("file.bin")}


@dj.cachable(["n"], table_name="numbers", on_code_change="ignore")
def numbers(n):
    return {"n": n}


def save(folder, value):
    (folder / "value.txt").write_text(str(value))


@dj.cachable(["n"], table_name="saved", saver=save, loader=lambda folder: 1, on_code_change="ignore")
def saved(n):
    return n


@dj.cachable(["n"], table_name="pickled", saver="pickle", loader="pickle", on_code_change="ignore")
def pickled(n):
    return {"n": n}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What seems corrupt is looked at again at once."""
    monkeypatch.setattr(reading, "SECOND_LOOK_YOUNG", (0.01,))


def run(function, root, *numbers, **how):
    return dj.run([{"n": n} for n in numbers], function, cache_dir=root, **how)("{n}")


def forge(root, function, change):
    """Change the record of the one result of a function, with a checksum that fits."""
    (path,) = [p for p in Path(root).glob(f"{function}/??/*.json") if p.name.count(".") == 1]
    record = parse_record(path.read_bytes())
    changed = change(record)
    path.write_bytes(format_record(record if changed is None else changed))
    return path


def set_artifact(name):
    return lambda record: record["value"].update(f={"$artifact": [name, *ENTRY]})


NAMES = ["../../../../escaped/file", "/etc/hostname", "a/../../b", "..", ".", "", "a\0b", 3, None, ["a"]]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_copy_writes_nowhere_but_in_the_folder_of_the_result(tmp_path, name):
    source, target = tmp_path / "a1", tmp_path / "deep" / "t"
    run(art, source, 1)
    run(numbers, source, 1)
    (tmp_path / "escaped").mkdir()
    (tmp_path / "escaped" / "file").write_bytes(OWNED)
    forge(source, "art", set_artifact(name))
    with pytest.warns(StoreWarning, match=r"outside of its folder|describes a file by"):
        copied = dj.copy_results(Store(source), Store(target))
    assert [one.partition("/")[0] for one in copied.new] == ["numbers"]  # the others are copied all the same
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"t"}


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", 7], ids=repr)
@pytest.mark.parametrize(
    "change",
    [
        lambda r, name: r.update(arrays=[name, *ENTRY]),
        lambda r, name: r.update(value={"$files": {"folder": name, "files": {"x": ENTRY}}}),
        lambda r, name: r.update(value={"$files": {"folder": "value-0", "files": {str(name): [1]}}}),
        lambda r, name: r.update(folder=name),
    ],
    ids=["arrays", "folder of a saver", "file of a saver", "folder"],
)
def test_a_record_that_names_files_elsewhere_is_corrupt_wherever_it_is_read(tmp_path, change, name, request):
    for function in (art, saved)[: 1 if request.node.callspec.id.startswith("arrays") else 2]:
        root = tmp_path / function.table_name
        run(function, root, 1)
        path = forge(root, function.table_name, lambda record: change(record, name))
        with pytest.warns(StoreWarning, match="counts as missing"):
            run(function, root, 1)
        assert dj.verify(Store(root)).sound == 1  # it was computed again
        assert list((root / "quarantine").glob(f"*{path.name}*"))


def test_an_artifact_is_where_its_result_is_or_nowhere(tmp_path):
    run(art, tmp_path, 1)
    forge(tmp_path, "art", set_artifact("../../../../../../../../etc/hostname"))
    (value,) = run(art, tmp_path, 1)
    with (
        pytest.raises(UsageError, match=r"outside of its folder.*running the same command again"),
        pytest.warns(StoreWarning, match="counts as missing"),
    ):
        value["f"].path()
    (value,) = run(art, tmp_path, 1)
    assert value["f"].path().read_bytes() == OWNED


def test_a_link_out_of_the_folder_is_not_read_and_one_within_is(tmp_path):
    (value,) = run(art, tmp_path / "s", 1)
    path = value["f"].path()
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    assert value["f"].path().read_bytes() == OWNED
    shutil.move(path.with_name("moved"), tmp_path / "elsewhere")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="a link out of its folder"), pytest.warns(StoreWarning):
        value["f"].path()


def test_names_within_the_folder_stay_as_they_are(tmp_path):
    @dj.cachable(["n"], table_name="inner", on_code_change="ignore")
    def inner(n, job):
        (job.folder / "a" / "b").mkdir(parents=True)
        (job.folder / "a" / "b" / "..odd name").write_bytes(OWNED)
        return [job.artifact("a/b/..odd name"), job.artifact(str(job.folder / "a" / ".." / "a/b/..odd name"))]

    (files,) = run(inner, tmp_path / "s", 1)
    assert {file.filename for file in files} == {"a/b/..odd name"}
    copied = dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"))
    assert len(copied.new) == 1
    (files,) = run(inner, tmp_path / "t", 1)
    assert files[1].path().read_bytes() == OWNED


def test_a_copy_does_not_write_through_links_of_the_target(tmp_path):
    run(art, tmp_path / "s", 1)
    (tmp_path / "t" / "art").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (record,) = Store(tmp_path / "s").records("art")
    (tmp_path / "t" / "art" / record["key"][:2]).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="behind a link"):
        dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_gc_does_not_leave_the_store(tmp_path):
    run(art, tmp_path / "s", 1)
    (record,) = Store(tmp_path / "s").records("art")
    shelf, outside = tmp_path / "s" / "art" / record["key"][:2], tmp_path / "outside"
    (outside / "value-0123456789abcdef").mkdir(parents=True)
    (shelf / ("ab" * 20)).symlink_to(outside)
    (shelf / record["key"] / "value-fedcba9876543210").symlink_to(outside)
    for path in (outside / "value-0123456789abcdef", outside, *shelf.rglob("*")):
        os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)
    assert [p.name for p in dj.gc(Store(tmp_path / "s"), dry_run=False)] == ["value-fedcba9876543210"]
    assert (outside / "value-0123456789abcdef").is_dir()
    assert not (shelf / record["key"] / "value-fedcba9876543210").is_symlink()


def test_a_log_that_is_a_link_is_not_written_through(tmp_path):
    run(art, tmp_path / "s", 1)
    (record,) = Store(tmp_path / "s").records("art")
    folder = Store(tmp_path / "s").folder("art", record["key"])
    theirs = tmp_path / "theirs"
    theirs.write_text("mine\n")
    (folder / "log.txt").unlink(missing_ok=True)
    (folder / "log.txt").symlink_to(theirs)
    shutil.rmtree(tmp_path / "s" / "quarantine", ignore_errors=True)
    Store(tmp_path / "s").path("art", record["key"]).unlink()
    with pytest.raises(dj.RunError, match=r"it is a link; remove it: .*log\.txt"):
        run(art, tmp_path / "s", 1, 2, n_threads=2)
    assert theirs.read_text() == "mine\n"


@pytest.mark.parametrize(
    "value",
    [
        {"$float": "x"},
        {"$float": []},
        {"$int": 5},
        {"$bytes": "x"},
        {"$tuple": 5},
        {"$array": ["0", "float64", [2]]},
        {"$array": 1},
        {"$scalar": ["float64", "zz", 0]},
        {"$artifact": 1},
        {"$artifact": ["a", 5, "b"]},
        {"$dict": [1]},
        {"$dict": [[[], 1]]},
        {"$value": []},
        {"$value": ["decimal", "x"]},
        {"$value": ["date", 3]},
        {"$value": ["dataclass", 3]},
        {"$files": []},
        {"$files": {"folder": "a", "files": []}},
        {"$path": 3},
        {"$complex": [1, 2, 3]},
    ],
    ids=json.dumps,
)
def test_a_record_with_wrong_tags_is_corrupt_and_computed_again(tmp_path, value):
    run(numbers, tmp_path, 1)
    forge(tmp_path, "numbers", lambda record: record.update(value=value))
    with pytest.warns(StoreWarning, match="counts as missing"):
        assert run(numbers, tmp_path, 1) == [{"n": 1}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(numbers, tmp_path, 1) == [{"n": 1}]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(format="1"),
        lambda record: record.update(outcome="perhaps"),
        lambda record: record.update(dependencies=[]),
        lambda record: record.update(omitted=3),
        lambda record: record.pop("value"),
        lambda record: record.update(key=5),
    ],
    ids=["format", "outcome", "dependencies", "omitted", "no value", "key"],
)
def test_a_record_with_fields_of_other_types_is_corrupt(tmp_path, change):
    run(numbers, tmp_path, 1)
    forge(tmp_path, "numbers", lambda record: [change(record), record][1])
    with pytest.warns(StoreWarning, match="is no record"):
        assert run(numbers, tmp_path, 1) == [{"n": 1}]


@pytest.mark.parametrize("depth", [700, 100_000])
def test_a_record_that_is_nested_deeply_is_corrupt(tmp_path, depth):
    run(numbers, tmp_path, 1)
    path = forge(tmp_path, "numbers", lambda record: record.update(value="HERE"))
    body = path.read_bytes().rpartition(b',\n"checksum"')[0].replace(b'"HERE"', b"[" * depth + b"]" * depth)
    checksum = blake2b(body, digest_size=20).hexdigest().encode()
    path.write_bytes(body + b',\n"checksum": "' + checksum + b'"\n}\n')
    with pytest.warns(StoreWarning, match="counts as missing"):
        assert run(numbers, tmp_path, 1) == [{"n": 1}]


def test_what_only_this_process_does_not_know_is_not_corrupt(tmp_path):
    run(numbers, tmp_path, 1)
    for value in (
        {"$value": ["celsius", 3]},
        {"$value": ["dataclass", {"class": "no.such:Thing", "fields": {}}]},
        {"$newer": 3},
        {"$value": ["datetime", ["2026-01-01T00:00:00", 0, "Nowhere/City"]]},
        {"$value": ["frame", {"columns": 1}]},
    ):
        path = forge(tmp_path, "numbers", lambda record, value=value: record.update(value=value))
        with pytest.raises((dj.RunError, UsageError)):
            run(numbers, tmp_path, 1)
        assert path.exists()


def test_a_data_frame_leaves_damaged_records_out(tmp_path):
    run(numbers, tmp_path, 1)
    forge(tmp_path, "numbers", lambda record: record.update(value={"n": {"$tuple": 5}}))
    run(numbers, tmp_path, 2)
    with pytest.warns(StoreWarning, match="counts as missing"):
        frame = dj.to_dataframe(tmp_path / "numbers")
    assert list(frame["value.n"]) == [2]


def test_pickles_are_copied_only_when_asked_for(tmp_path):
    run(pickled, tmp_path / "s", 1)
    run(numbers, tmp_path / "s", 1)
    with pytest.warns(StoreWarning, match="pickles=True"):
        copied = dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"))
    assert (len(copied.new), len(copied.pickled)) == (1, 1)
    assert not list((tmp_path / "t").rglob("*.pickle"))
    copied = dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"), pickles=True)
    assert (len(copied.new), len(copied.same)) == (1, 1)
    assert run(pickled, tmp_path / "t", 1, run_mode="load") == [{"n": 1}]


def test_a_pickle_that_hides_among_artifacts_stays_behind_too(tmp_path):
    run(art, tmp_path / "s", 1)
    forge(tmp_path / "s", "art", set_artifact("value-00/value.pickle"))
    with pytest.warns(StoreWarning, match="pickles=True"):
        assert dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t")).new == []


def test_a_setting_that_has_another_name_now_keeps_its_results(tmp_path):
    called = []

    def make(name):
        @dj.cachable([f"model:{name}", "model:seed"], table_name="train", on_code_change="ignore")
        def train(model):
            called.append(model)
            return {"loss": model[name] * 2, "w": [model["seed"]]}

        return train

    old = [{"lr": lr, "seed": 0} for lr in (0.1, 0.2)]
    new = [{"rate": lr, "seed": 0} for lr in (0.1, 0.2)]
    before = dj.run(old, make("lr"), cache_dir=tmp_path / "s")("{*}")
    rename = {"model:lr": "model:rate"}
    copied = dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"), rename=rename)
    assert (len(copied.new), copied.not_renamed) == (2, [])
    assert dj.run(new, make("rate"), cache_dir=tmp_path / "t", run_mode="load")("{*}") == before
    assert len(called) == 2
    # what has no setting of the old name is copied as it is
    again = dj.copy_results(Store(tmp_path / "t"), Store(tmp_path / "u"), rename=rename)
    assert len(again.new) == 2
    assert dj.run(new, make("rate"), cache_dir=tmp_path / "u", run_mode="load")("{*}") == before


def test_a_key_that_cannot_be_known_is_not_made_up(tmp_path):
    import numpy as np

    @dj.cachable(["w"], table_name="heavy", on_code_change="ignore")
    def heavy(w):
        return 1

    dj.run([{"w": np.arange(1000)}], heavy, cache_dir=tmp_path / "s")("{w}")
    copied = dj.copy_results(Store(tmp_path / "s"), Store(tmp_path / "t"), rename={"w": "weights"})
    assert (copied.new, len(copied.not_renamed)) == ([], 1)
