"""The store: whole records or none, corruption found, the first result kept, nothing deleted."""

import json
import os
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import Store, StoreWarning, UsageError, copy_results, gc, verify
from datajuicer.store.disk import StoreFull
from datajuicer.store.record import format_record, parse_record


@dj.cachable()
def numbers(n):
    return {"n": n, "mean": n / 2}


@dj.cachable()
def arrays(n):
    return {"w": np.arange(n, dtype=np.float32), "n": n}


@dj.cachable()
def weights(n, job):
    (job.folder / "params.bin").write_bytes(bytes(n))
    return {"params": job.artifact("params.bin"), "n": n}


GRID = dj.split([{}], "n", range(1, 6))


def fill(root, function=numbers, grid=GRID):
    return dj.run(grid, function, cache_dir=root)("{n}")


def records(root):
    return sorted(p for p in Path(root).glob("*/??/*.json") if p.parts[-3] != "quarantine")


def test_the_layout(tmp_path):
    fill(tmp_path, arrays)
    for path in records(tmp_path):
        function, shelf, name = path.parts[-3:]
        record = json.loads(path.read_text())
        key = record["key"]
        assert (function, shelf, name) == ("arrays", key[:2], f"{key}.json")
        assert len(key) == 40
        folder = path.with_suffix("")
        assert [p.name for p in folder.iterdir()] == [record["arrays"][0]]
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("*.claim.*"))


def test_a_record_tells_everything_about_a_result(tmp_path):
    @dj.cachable(["model:seed", "model:w"], version=3, table_name="train")
    def train(model, extra, job):
        job.note(data_source="built-in", device="cpu")
        return {"loss": float("inf")}

    model = {"seed": 1, "w": np.ones(3), "unused": "x" * 10_000, "f": print}
    dj.run([{"model": model}], train, cache_dir=tmp_path)("{model}", extra=(1, 2))
    (path,) = records(tmp_path)
    record = json.loads(path.read_text())
    assert record["function"] == "train"
    assert record["version"] == 3
    assert record["outcome"] == "done"
    assert record["dependencies"]["model:seed"] == 1
    assert "1.0, 1.0, 1.0" in json.dumps(record["dependencies"]["model:w"])
    assert record["context"]["extra"] == {"$tuple": [1, 2]}
    assert record["notes"] == {"data_source": "built-in", "device": "cpu"}
    assert record["value"] == {"loss": {"$float": "inf"}}
    assert {"started", "seconds", "host", "pid", "packages", "platform", "code", "checksum"} <= record.keys()
    assert len(path.read_bytes()) < 6000


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data.replace(b'"mean": 0.5', b'"mean": 0.6'),
        lambda data: data + b" ",
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    ],
)
def test_a_damaged_record_is_quarantined_reported_once_and_computed_again(tmp_path, damage):
    first = fill(tmp_path)
    victim = next(p for p in records(tmp_path) if b'"n": 1' in p.read_bytes())
    victim.write_bytes(damage(victim.read_bytes()))
    with pytest.warns(StoreWarning, match="counts as missing") as caught:
        assert fill(tmp_path) == first
    assert len(caught) == 1
    moved = [p for p in (tmp_path / "quarantine").iterdir() if not p.name.endswith(".reason")]
    assert len(moved) == 1
    assert moved[0].with_name(moved[0].name + ".reason").read_text().startswith(str(victim))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fill(tmp_path) == first


def test_every_single_flipped_bit_of_a_record_is_found(tmp_path):
    fill(tmp_path, grid=GRID[:1])
    data = records(tmp_path)[0].read_bytes()
    assert isinstance(parse_record(data), dict)
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        assert isinstance(parse_record(flipped), str), place


def test_records_survive_being_read_and_written():
    record = {
        "format": 1,
        "function": "f",
        "key": "k",
        "outcome": "done",
        "value": [0.1, -0.0, "ζ\ud800", None],
    }
    parsed = parse_record(format_record(record))
    assert format_record({k: v for k, v in parsed.items() if k != "checksum"}) == format_record(record)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_arrays_make_the_result_missing(tmp_path, damage):
    fill(tmp_path, arrays)
    victim = next(tmp_path.glob("arrays/??/*/value-*"))
    data = victim.read_bytes()
    if damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.warns(StoreWarning, match="missing or corrupt"):
        again = fill(tmp_path, arrays)
    np.testing.assert_array_equal(again[4]["w"], np.arange(5, dtype=np.float32))
    assert len(records(tmp_path)) == len(GRID)


def test_a_missing_artifact_is_noticed_only_when_it_is_asked_for(tmp_path):
    results = fill(tmp_path, weights)
    assert results[1]["params"].path().read_bytes() == bytes(2)
    results[1]["params"].path().unlink()
    results[2]["params"].path().write_bytes(b"other")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = fill(tmp_path, weights)  # a store can be copied without its large files
    with pytest.raises(UsageError, match=r"params.bin is not here.*force"):
        results[1]["params"].path()
    assert not dj.missing(GRID, weights, cache_dir=tmp_path)("{n}")
    with (
        pytest.warns(StoreWarning),
        pytest.raises(UsageError, match=r"params.bin is corrupt.*counts as missing"),
    ):
        results[2]["params"].path()
    assert [p["n"] for p in dj.missing(GRID, weights, cache_dir=tmp_path)("{n}")] == [3]
    assert fill(tmp_path, weights)[2]["params"].path().read_bytes() == bytes(3)


def test_a_newer_record_is_left_alone_and_told(tmp_path):
    fill(tmp_path)
    victim = records(tmp_path)[0]
    record = parse_record(victim.read_bytes())
    victim.write_bytes(format_record(record | {"format": 99}))
    with pytest.raises(UsageError, match=r"newer datajuicer.*update"):
        fill(tmp_path)
    assert victim.exists()


def test_a_record_under_a_wrong_name_does_not_count(tmp_path):
    fill(tmp_path)
    one, other = records(tmp_path)[:2]
    shutil.copy(one, other)
    with pytest.warns(StoreWarning, match="is the record of"):
        assert [r["n"] for r in fill(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_store_that_is_a_file_is_told_before_anything_is_computed(tmp_path):
    root = tmp_path / "sessions"
    root.write_text("")
    called = []
    function = dj.cachable(["n"], table_name="f")(lambda n: called.append(1))
    for mode in ("normal", "force", "load"):
        with pytest.raises(UsageError, match=r"sessions.*(is a file|cannot be written)"):
            dj.run(GRID, function, run_mode=mode, cache_dir=root)("{n}")
    with pytest.raises(UsageError, match="cannot be read"):
        dj.status(GRID, function, cache_dir=root)("{n}")
    assert not called


def test_a_store_that_cannot_be_written_is_told_before_anything_is_computed(tmp_path):
    if os.geteuid() == 0:
        root = Path("/proc/datajuicer")  # nobody can make a folder there
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        root = tmp_path / "locked" / "sessions"
    called = []
    function = dj.cachable(["n"], table_name="f")(lambda n: called.append(1))
    with pytest.raises(UsageError, match="cannot be written"):
        dj.run(GRID, function, cache_dir=root)("{n}")
    assert not called


def test_the_first_of_two_results_is_kept_and_a_difference_told(tmp_path):
    store = Store(tmp_path)
    record = {"format": 1, "function": "f", "key": "ab" * 20, "outcome": "done", "started": "x", "seconds": 1}
    assert store.write({**record, "value": 1, "host": "first"}) == ""
    assert store.write({**record, "value": 1, "seconds": 9}) == ""
    assert "different results (kept: the first, by first" in store.write({**record, "value": 2})
    assert store.read("f", "ab" * 20)["value"] == 1


def test_a_function_that_is_not_deterministic_is_noticed_when_two_computed_it(tmp_path):
    """The second one finds a result that appeared while it computed, as when a claim was lost."""

    @dj.cachable(table_name="random")
    def random(n):
        if not records(tmp_path):
            other = dj.cachable(table_name="random")(lambda n: 1)
            from datajuicer.store import claims

            for claim in tmp_path.rglob("*.claim.*"):
                claims.Claim(claim, 0).release()
            dj.run([{"n": n}], other, cache_dir=tmp_path)("{n}")
        return 2

    with pytest.warns(StoreWarning, match="not deterministic"):
        assert dj.run([{"n": 0}], random, cache_dir=tmp_path)("{n}") == [1]


def test_a_full_disk_is_told_and_the_store_stays_valid(tmp_path):
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system of 1 MiB")
    try:
        called = []

        @dj.cachable(table_name="large")
        def large(n):
            called.append(n)
            return np.full(300_000 // 8, n)

        grid = dj.split([{}], "n", range(8))
        with pytest.raises(dj.RunError) as caught:
            dj.run(grid, large, cache_dir=root)("{n}")
        error = caught.value
        done = [r is not None for r in error.results]
        assert done.pop(len(called) - 1)  # the value that found no room is handed over all the same
        assert 1 <= sum(done) <= 3
        assert "cannot be written" in error.failures[0].error
        assert "bytes are needed" in error.failures[0].error
        assert str(root) in error.failures[0].error
        assert len(called) == sum(done) + 1  # nothing more is computed in vain
        assert not any(f.recorded for f in error.failures)
        report = verify(Store(root))
        assert (report.sound, report.quarantined) == (sum(done), ())
        assert not list(root.rglob("*.tmp"))
        status = dj.status(grid, large, cache_dir=root)("{n}")
        assert len(status.missing) == 8 - sum(done)
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_a_write_that_fails_midway_leaves_nothing_half(tmp_path, monkeypatch):
    def fails(number):
        raise OSError(28, "No space left on device")

    store = Store(tmp_path)
    record = {"format": 1, "function": "f", "key": "ab" * 20, "outcome": "done", "value": 1}
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreFull, match="make room"):
        store.write(record)
    monkeypatch.undo()
    assert store.read("f", "ab" * 20) is None
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_one_flipped_bit_in_a_large_store_is_the_one_that_is_found(tmp_path):
    fill(tmp_path, arrays, dj.split([{}], "n", range(1, 201)))
    victim = sorted(tmp_path.glob("arrays/??/*/value-*"))[77]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 16
    victim.write_bytes(data)
    with pytest.warns(StoreWarning) as caught:
        report = verify(Store(tmp_path))
    assert report.sound == 199
    assert report.quarantined == (f"arrays/{victim.parent.name}",)
    assert len(caught) == 1
    assert len(records(tmp_path)) == 199


def test_verify_counts_artifacts_that_were_left_behind(tmp_path):
    results = fill(tmp_path, weights)
    results[0]["params"].path().unlink()
    report = verify(Store(tmp_path))
    assert (report.sound, len(report.without_files)) == (5, 1)
    assert "1 lack files" in str(report)


def test_gc_lists_and_sweeps_only_what_crashes_left(tmp_path):
    fill(tmp_path, arrays)
    fill(tmp_path, weights)
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    shelf = records(tmp_path)[0].parent
    folder = next(p for p in shelf.iterdir() if p.is_dir())
    orphans = [shelf / "x.json.host-1-0123abcd.tmp", folder / "value-0123456789abcdef.safetensors"]
    for path in orphans:
        path.write_bytes(b"half")
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    young = shelf / "y.host-1-0123abce.tmp"
    young.write_bytes(b"half")
    checkpoint = folder / "checkpoint.bin"
    checkpoint.write_bytes(b"kept")
    store = Store(tmp_path)
    assert set(gc(store)) == set(orphans)
    assert all(p.exists() for p in orphans)
    assert set(gc(store, dry_run=False)) == set(orphans)
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == before | {young, checkpoint}
    assert fill(tmp_path, arrays)[0]["n"] == 1


def test_export_and_import(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    fill(here, arrays)
    fill(here, weights)
    fill(there, arrays, GRID[:2])
    copied = copy_results(Store(here), Store(there))
    assert (len(copied.new), len(copied.same), copied.different) == (8, 2, [])
    shutil.rmtree(here)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dj.status(GRID, arrays, cache_dir=there)("{n}").missing == []
        assert fill(there, weights)[3]["params"].path().read_bytes() == bytes(4)
    assert verify(Store(there)).sound == 10
    copied = copy_results(Store(there), Store(tmp_path / "third"), ["arrays"])
    assert len(copied.new) == 5
    with pytest.raises(UsageError, match="there is no store"):
        copy_results(Store(here), Store(there))


def test_import_keeps_what_is_here_and_reports_differences(tmp_path):
    for root, value in (("here", 1), ("there", 2)):
        function = dj.cachable(table_name="f", on_code_change="ignore")(lambda n, v=value: v)
        function = dj.cachable(["n"], table_name="f", on_code_change="ignore")(function.function)
        dj.run([{"n": 0}], function, cache_dir=tmp_path / root)("{n}")
    copied = copy_results(Store(tmp_path / "there"), Store(tmp_path / "here"))
    assert len(copied.different) == 1
    assert next(Store(tmp_path / "here").records("f"))["value"] == 1


def test_the_clock_of_this_machine_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    fill(tmp_path)
    monkeypatch.undo()
    assert dj.missing(GRID, numbers, cache_dir=tmp_path)("{n}") == []


def test_gc_spares_artifacts_whatever_users_call_them(tmp_path):
    @dj.cachable()
    def named(n, job):
        for name in ("value-net.npz", "weights.tmp"):
            (job.folder / name).write_bytes(b"kept")
        return {"net": job.artifact("value-net.npz"), "other": job.artifact("weights.tmp")}

    fill(tmp_path, named)
    assert gc(Store(tmp_path), older_than=-1.0) == []
