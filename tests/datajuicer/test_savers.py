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
