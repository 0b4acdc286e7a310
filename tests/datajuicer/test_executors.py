"""Any executor of the standard library's kind computes a grid."""

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import datajuicer as dj
from datajuicer import RunError, cachable, run, split

GRID = split([{}], "n", [3, 1, 2])


@cachable()
def cube(n):
    if n == 13:
        raise ValueError("unlucky")
    return n**3


class Recording(Executor):
    """The contract of concurrent.futures, done by hand."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def executors():
    yield "by hand", Recording
    yield "threads", lambda: ThreadPoolExecutor(3)
    yield "processes", lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn"))


@pytest.mark.parametrize("make", [m for _, m in executors()], ids=[n for n, _ in executors()])
def test_any_executor_will_do(tmp_path, make):
    grid = split([{}], "n", [2, 13, 4, 2])
    executor = make()
    with pytest.raises(RunError) as caught:
        run(grid, cube, executor=executor, cache_dir=tmp_path)("{n}")
    assert caught.value.results == [8, None, 64, 8]
    assert caught.value.failures[0].error == "ValueError: unlucky"
    assert run(split([{}], "n", [2, 4]), cube, executor=executor, cache_dir=tmp_path)("{n}") == [8, 64]
    assert run(grid, lambda n: n + 1, executor=executor)("{n}") == [3, 14, 5, 3]
    executor.shutdown()


def test_an_executor_that_breaks_leaves_the_points_missing(tmp_path):
    class Broken(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_exception(RuntimeError("the cluster is gone"))
            return future

    with pytest.raises(RunError, match="the cluster is gone") as caught:
        run(GRID, cube, executor=Broken(), cache_dir=tmp_path)("{n}")
    assert not any(f.recorded for f in caught.value.failures)
    assert len(dj.missing(GRID, cube, cache_dir=tmp_path)("{n}")) == 3
