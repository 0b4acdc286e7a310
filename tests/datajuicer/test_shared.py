"""What all points of a run share is hashed, pickled and sent once."""

import numpy as np
import pytest

import datajuicer as dj
from datajuicer import keys
from datajuicer.keys import encoding
from datajuicer.running.arguments import LARGE
from datajuicer.workers import shared as shared_objects
from datajuicer.workers.local import LocalExecutor

PICKLED = []  # one entry per pickle


class Counted:
    def __reduce__(self):
        PICKLED.append(1)
        return Counted, ()


@pytest.fixture
def hashed(monkeypatch):
    """The arrays that were hashed."""
    arrays = []
    real = encoding.array_content

    def hash_array(array, where):
        arrays.append(array)
        return real(array, where)

    monkeypatch.setattr(encoding, "array_content", hash_array)
    return arrays


@dj.cachable(table_name="at")
def at(n, data):
    return float(data["x"][n])


def test_an_array_that_all_points_share_is_hashed_once_per_plan(tmp_path, hashed):
    data = {"x": np.arange(1000.0)}
    grid = dj.split([{"data": data}], "n", range(20))
    assert len(dj.status(grid, at, tmp_path)("{n}", "{data}").missing) == 20
    assert len(hashed) == 1
    assert dj.run(grid, at, cache_dir=tmp_path)("{n}", "{data}") == list(range(20))
    assert len(hashed) == 3  # the plan, and what the records say of the array


def test_an_array_that_changed_between_two_runs_is_another_one(tmp_path):
    data = {"x": np.arange(1000.0)}
    grid = dj.split([{"data": data}], "n", [3, 4])
    assert dj.run(grid, at, cache_dir=tmp_path)("{n}", "{data}") == [3, 4]
    data["x"][3] = -1
    assert dj.run(grid, at, cache_dir=tmp_path)("{n}", "{data}") == [-1, 4]
    equal = dj.split([{"data": {"x": data["x"].copy()}}], "n", [3, 4])  # an equal array is a hit
    assert dj.run(equal, at, run_mode="load", cache_dir=tmp_path)("{n}", "{data}") == [-1, 4]


def test_a_large_array_that_is_no_dependency_is_not_hashed(tmp_path, hashed):
    @dj.cachable(["n"], table_name="other")
    def other(n, data):
        return float(data[n])

    large = np.arange(LARGE / 8 + 1)
    assert dj.run([{"n": 2}], other, cache_dir=tmp_path)("{n}", large) == [2]
    (record,) = dj.Store(tmp_path).records("other")
    assert record["context"] == {"data": {"$unknown": f"float64[{len(large)}]"}}
    assert hashed == []


@pytest.mark.parametrize("count", [1, 6])
def test_function_and_shared_arguments_are_pickled_once_however_many_points(tmp_path, count):
    counted, options = Counted(), [Counted(), *range(keys.MANY)]

    @dj.cachable(["n"], table_name="uses")
    def uses(n, options):
        options.append(n)
        return len(options) + bool(counted)

    PICKLED.clear()
    grid = dj.split([{}], "n", range(count))
    values = dj.run(grid, uses, 2, cache_dir=tmp_path, progress=False)("{n}", options)
    assert values == [keys.MANY + 3] * count  # each call got the list as it was
    assert len(PICKLED) == 2


def test_a_worker_that_serves_two_runs_mixes_nothing_up(tmp_path):
    executor = LocalExecutor(1)
    for factor in (2, 3):

        def times(n, factor=factor):
            return n * factor

        counted = dj.cachable(["n"], table_name=f"times{factor}")(times)
        values = dj.run(dj.split([{}], "n", [1, 2]), counted, cache_dir=tmp_path, executor=executor)("{n}")
        assert values == [factor, 2 * factor]
    executor.shutdown()


def test_a_mapped_array_can_be_written_and_stays_as_it_was():
    array = np.arange(12.0).reshape(3, 4).T
    mapped = shared_objects.SharedArray(array)
    first = mapped.copy()
    first[:] = 0
    assert np.array_equal(mapped.copy(), array)
    assert not first.any()
