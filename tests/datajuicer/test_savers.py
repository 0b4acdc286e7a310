"""Values that a saver of their own writes, pickles, and checkers."""

import os

import pytest

import datajuicer as dj
from datajuicer import Store, StoreWarning, UsageError, copy_results

GRID = dj.split([{}], "n", range(1, 6))


def fill(root, function):
    return dj.run(GRID, function, cache_dir=root)("{n}")


def save(folder, value):
    (folder / "sub").mkdir()
    (folder / "sub" / "x.txt").write_text(str(value))


def load(folder):
    return int((folder / "sub" / "x.txt").read_text())


@dj.cachable(saver=save, loader=load)
def saved(n):
    return n + 100


def test_savers_and_loaders(tmp_path):
    assert fill(tmp_path, saved) == [101, 102, 103, 104, 105]
    assert fill(tmp_path, saved) == [101, 102, 103, 104, 105]
    victim = next(tmp_path.glob("saved/??/*/value-*/sub/x.txt"))
    victim.write_text("7")
    with pytest.warns(StoreWarning, match="missing or corrupt"):
        assert fill(tmp_path, saved) == [101, 102, 103, 104, 105]
    copied = copy_results(Store(tmp_path), Store(tmp_path / "copy"))
    assert len(copied.new) == 5
    assert fill(tmp_path / "copy", saved) == [101, 102, 103, 104, 105]


@dj.cachable(saver="pickle", loader="pickle")
def pickled(n):
    return {n, range(n)}


def test_pickle_is_for_those_who_ask_and_for_stores_of_ones_own(tmp_path):
    root = tmp_path / "sessions"
    os.umask(0o022)
    assert fill(root, pickled)[2] == {3, range(3)}
    root.chmod(0o777)
    with pytest.raises(UsageError, match="chmod -R go-w"):
        fill(root, pickled)


def test_a_checker_decides_whether_a_result_still_counts(tmp_path):
    good = [True]
    calls = []

    @dj.cachable(checker=lambda folder: good[0], table_name="checked")
    def checked(n):
        calls.append(n)
        return n

    fill(tmp_path, checked)
    fill(tmp_path, checked)
    assert len(calls) == 5
    good[0] = False
    assert len(dj.missing(GRID, checked, cache_dir=tmp_path)("{n}")) == 5
    fill(tmp_path, checked)
    assert len(calls) == 10
    assert len(list(tmp_path.glob("checked/??/*/replaced-*.json"))) == 5  # set aside, not deleted


@pytest.fixture
def umask():
    kept = os.umask(0o002)
    yield os.umask
    os.umask(kept)


@pytest.mark.parametrize("mask", [0o002, 0o000, 0o022, 0o077])
def test_pickles_can_be_read_under_every_umask(tmp_path, umask, mask):
    umask(mask)
    (tmp_path / "project").mkdir()
    root = tmp_path / "project" / "sessions"
    assert fill(root, pickled)[2] == {3, range(3)}
    assert fill(root, pickled)[2] == {3, range(3)}
    private = [path for path in (root, *root.rglob("*")) if path.stat().st_mode & 0o022]
    assert [path for path in private if not path.name.endswith("log.txt")] == []
    assert bool(root.stat().st_mode & 0o055) == (mask != 0o077)  # more private than that it may be


def test_a_store_that_is_shared_on_purpose_stays_shared(tmp_path, umask):
    root = tmp_path / "sessions"
    root.mkdir()
    root.chmod(0o2775)
    fill(root, saved)
    assert all(path.stat().st_mode & 0o020 for path in root.rglob("??") if path.is_dir())


def test_pickles_that_could_not_be_read_are_not_computed(tmp_path, umask):
    calls = []

    @dj.cachable(saver="pickle", loader="pickle", table_name="counted")
    def counted(n):
        calls.append(n)

    root = tmp_path / "sessions"
    root.mkdir(mode=0o775)
    with pytest.raises(UsageError, match=r"sessions can be written by others.*chmod -R go-w"):
        fill(root, counted)
    assert calls == []
    if os.geteuid() == 0:
        root.chmod(0o755)
        os.chown(root, 65534, -1)
        with pytest.raises(UsageError, match=r"sessions belongs to the user .*a store of your own"):
            fill(root, counted)
        assert calls == []
