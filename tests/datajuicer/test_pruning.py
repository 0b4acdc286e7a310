"""Results that are moved aside and brought back."""

import pytest

import datajuicer as dj
from datajuicer import Store, UsageError


@dj.cachable(["n"], table_name="art", on_code_change="ignore")
def art(n, job):
    if n == 0:
        raise ValueError("planted")
    (job.folder / "file.bin").write_bytes(bytes([n]))
    return {"n": n, "f": job.artifact("file.bin")}


@dj.cachable(["n"], table_name="versioned", version=2, on_code_change="ignore")
def second(n):
    return n


first = dj.cachable(["n"], table_name="versioned", version=1, on_code_change="ignore")(second.function)


def run(function, root, *numbers, **how):
    return dj.run([{"n": n} for n in numbers], function, cache_dir=root, **how)("{n}")


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_pruned_is_gone_and_comes_back_whole(tmp_path):
    run(art, tmp_path, 1, 2)
    before = files(tmp_path)
    assert len(dj.prune(Store(tmp_path), function="art")) == 2
    assert files(tmp_path) == before  # a dry run
    pruned = dj.prune(Store(tmp_path), function="art", dry_run=False)
    assert len(pruned) == 2
    assert dj.missing([{"n": 1}, {"n": 2}], art, cache_dir=tmp_path)("{n}") == [{"n": 1}, {"n": 2}]
    assert list(Store(tmp_path).records("art")) == []
    assert sorted(dj.restore(Store(tmp_path))) == sorted(pruned)
    assert files(tmp_path) == before
    assert run(art, tmp_path, 2, run_mode="load")[0]["f"].path().read_bytes() == b"\x02"
    assert not list((tmp_path / ".pruned").iterdir())


def test_only_what_fits_is_pruned(tmp_path):
    run(first, tmp_path, 1, 2)
    run(second, tmp_path, 1, 2, 3)
    run(art, tmp_path, 1)
    store = Store(tmp_path)
    assert len(dj.prune(store, version=1)) == 2
    assert len(dj.prune(store, version=None)) == 1
    assert len(dj.prune(store, function="versioned", version=2)) == 3
    assert len(dj.prune(store, older_than=-1)) == 6
    assert dj.prune(store, older_than=3600) == []
    assert dj.prune(store, function="none") == []
    with pytest.raises(UsageError, match="something to choose by"):
        dj.prune(store, dry_run=False)


def test_failures_are_pruned_and_their_points_are_missing(tmp_path):
    with pytest.raises(dj.RunError):
        run(art, tmp_path, 0, 1)
    assert len(dj.prune(Store(tmp_path), failed=True, dry_run=False)) == 1
    status = dj.status([{"n": 0}, {"n": 1}], art, cache_dir=tmp_path)("{n}")
    assert (status.missing, status.done) == ([{"n": 0}], [{"n": 1}])
    dj.restore(Store(tmp_path))
    assert dj.status([{"n": 0}], art, cache_dir=tmp_path)("{n}").failed == [{"n": 0}]


def test_what_was_replaced_is_pruned_and_the_result_stays(tmp_path):
    run(art, tmp_path, 1)
    run(art, tmp_path, 1, run_mode="force")
    run(art, tmp_path, 2)
    store = Store(tmp_path)
    before = files(tmp_path)
    assert len(dj.prune(store, replaced=True, dry_run=False)) == 1
    assert run(art, tmp_path, 1, run_mode="load")[0]["f"].path().read_bytes() == b"\x01"
    assert len(dj.prune(store, replaced=True)) == 0
    dj.restore(store)
    assert files(tmp_path) == before


def test_what_was_computed_meanwhile_stays(tmp_path):
    run(art, tmp_path, 1)
    store = Store(tmp_path)
    dj.prune(store, function="art", dry_run=False)
    run(art, tmp_path, 1)
    (new,) = store.records("art")
    assert dj.restore(store) == []
    assert list(store.records("art")) == [new]


def test_several_prunings_are_restored_one_by_one(tmp_path):
    run(art, tmp_path, 1)
    run(second, tmp_path, 1)
    store = Store(tmp_path)
    dj.prune(store, function="art", dry_run=False)
    dj.prune(store, function="versioned", dry_run=False)
    earlier, _ = sorted((tmp_path / ".pruned").iterdir())
    assert dj.restore(store, earlier)[0].startswith("art/")
    assert dj.restore(store)[0].startswith("versioned/")
    with pytest.raises(UsageError, match="nothing to restore"):
        dj.restore(store)
    assert dj.verify(store).sound == 2


def test_what_lies_behind_a_link_stays(tmp_path):
    run(art, tmp_path / "s", 1)
    (tmp_path / "s" / "art").rename(tmp_path / "elsewhere")
    (tmp_path / "s" / "art").symlink_to(tmp_path / "elsewhere")
    assert dj.prune(Store(tmp_path / "s"), function="art", dry_run=False) == []


def test_a_new_store_is_not_under_version_control_and_one_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("old", "new"):
        run(second, tmp_path / name, 1)
    assert (tmp_path / "new" / ".gitignore").read_text().endswith("\n*\n")
    assert not (tmp_path / "old" / ".gitignore").exists()
    (tmp_path / "new" / ".gitignore").unlink()
    run(second, tmp_path / "new", 2)
    assert not (tmp_path / "new" / ".gitignore").exists()
