"""Messages: what failing points share, where a worker's error was raised, and how long they may be."""

import asyncio
import functools
import logging
import os
import pickle
import time

import pytest

import datajuicer as dj
from datajuicer.running.board import Board
from datajuicer.running.keep import MAX_ERROR, MAX_TRACEBACK
from datajuicer.running.messages import short_label
from datajuicer.running.progress import PLAIN_FAILED, PLAIN_LINES, Plain


def fit(width, lam, seed):
    if width == 1 and seed == 2:
        raise FloatingPointError("singular")
    return lam


GRID = dj.split(dj.split(dj.split([{}], "width", [1, 4]), "lam", [0.1, 1.0]), "seed", [0, 1, 2])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_line_says_what_failing_points_share(tmp_path, workers):
    run = dj.run(GRID, dj.cachable()(fit), workers, cache_dir=tmp_path, progress=False)
    with pytest.raises(dj.RunError) as raised:
        run("{width}", "{lam}", "{seed}")
    first, *points = str(raised.value).splitlines()
    assert first.startswith("2 of 12 points failed, all with width=1, seed=2; the results of")
    assert "lam=0.1" in points[0]
    assert 'raise FloatingPointError("singular")' in raised.value.failures[0].traceback


def test_nothing_is_shared_by_points_that_have_nothing_in_common(tmp_path):
    @dj.cachable(table_name="odd")
    def odd(a, b):
        if a != b:
            raise ValueError("odd")

    grid = dj.split(dj.split([{}], "a", [0, 1]), "b", [0, 1])
    with pytest.raises(dj.RunError, match=r"^2 of 4 points failed; the results"):
        dj.run(grid, odd, cache_dir=tmp_path)("{a}", "{b}")


def test_the_traceback_of_a_worker_shows_file_and_line_of_a_script(run_script):
    done = run_script(
        "import datajuicer as dj\n"
        "@dj.cachable()\n"
        "def f(n):\n"
        "    raise ValueError('here')  # this line\n"
        "if __name__ == '__main__':\n"
        "    try: dj.run([{}], f, 2, progress=False)(1)\n"
        "    except dj.RunError as error: print(error.failures[0].traceback)\n"
    )
    assert "# this line" in done
    assert "script.py" in done


def test_a_label_is_made_of_anything():
    class Odd(tuple):
        def __repr__(self):
            raise RuntimeError

    assert short_label({"n": 10**5000, "odd": Odd(), "k": 1}) == "k=1"
    with pytest.raises(dj.UsageError, match="cannot be called so"):
        dj.run([{"n": 10**5000}], dj.cachable()(fit))("{n}")


def test_messages_and_records_have_a_bounded_size(tmp_path):
    @dj.cachable(table_name="long")
    def long(n):
        raise ValueError("x" * 5_000_000)

    with pytest.raises(dj.RunError) as raised:
        dj.run([{}, {}], long, cache_dir=tmp_path)(1)
    assert len(str(raised.value)) < 5000
    (record,) = dj.Store(tmp_path).records("long", "failed")
    assert len(record["error"]) < MAX_ERROR + 100
    assert len(record["traceback"]) < MAX_TRACEBACK + 100


@dj.cachable(table_name="raises")
def raises(x):
    """Raise."""
    raise ValueError(f"mine: {x}")


def test_cached_raises_the_same_type_each_time_and_looks_like_its_function(tmp_path):
    fast = dj.cached(raises, tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^mine: 1$"):
            fast(1)
    assert (fast.__name__, fast.__doc__) == ("raises", "Raise.")
    with pytest.raises(ValueError, match=r"^mine: 1$"):
        pickle.loads(pickle.dumps(fast))(1)
    itself = []
    itself.append(itself)
    with pytest.raises(dj.UsageError, match="contains itself"):
        fast(itself)


def test_a_bound_function_of_a_script_can_be_sent_to_a_pool(run_script):
    code = """
import datajuicer as dj
from concurrent.futures import ProcessPoolExecutor

@dj.cachable()
def double(x):
    return 2 * x

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        print(list(pool.map(dj.cached(double, "s"), [1, 2])), str(dj.status({}, double, "s")(2)))
"""
    assert run_script(code).strip() == "[2, 4] 1 done, 0 failed, 0 running, 0 missing"


def test_a_worker_that_died_leaves_no_open_pipes(tmp_path):
    @dj.cachable(table_name="dies")
    def dies(n):
        os._exit(3)

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(dj.RunError, match="exit status 3"):
        dj.run([{}], dies, 2, cache_dir=tmp_path, progress=False)(1)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_explaining_many_points_against_many_records_takes_no_time_per_pair(tmp_path):
    @dj.cachable(table_name="acc")
    def acc(lr, seed):
        return lr

    dj.run(dj.split(dj.split([{}], "lr", [0.1, 0.2]), "seed", range(50)), acc, cache_dir=tmp_path)(
        "{lr}", "{seed}"
    )
    grid = dj.split(dj.split([{}], "lr", [0.21]), "seed", range(60))
    start = time.perf_counter()
    explained = dj.explain(grid, acc, tmp_path)("{lr}", "{seed}")
    assert time.perf_counter() - start < 10
    assert [one.differences for one in explained[:50]] == [(("lr", 0.21, 0.2),)] * 50
    assert explained[55].differences == (("lr", 0.21, 0.2), ("seed", 55, 49))


def test_without_a_terminal_a_long_run_says_a_bounded_number_of_lines(tmp_path, capsys):
    @dj.cachable(table_name="even")
    def even(n):
        if n % 2:
            raise ValueError("odd")
        return n

    for count in (7, 400):  # a short run tells each point
        with pytest.raises(dj.RunError):
            dj.run(dj.split([{}], "n", range(count)), even, cache_dir=tmp_path / str(count), progress=True)(
                "{n}"
            )
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == min(count, PLAIN_LINES + PLAIN_FAILED)
        assert f"[{count}/{count} ({count // 2} failed)" in lines[-1]


def test_a_point_that_takes_long_is_told_at_growing_intervals(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    plain = Plain(Board(1, {"k": "n=1"}))
    plain.event(0, "started", "train", ("k",))
    for minute in range(1, 601):
        clock[0] = 60.0 * minute
        plain.event(0, "progress", "k", minute, 600, "")
    assert 5 < len(capsys.readouterr().err.splitlines()) < 15


@dj.cachable(table_name="logs")
def logs(n, configures):
    if configures:
        logging.basicConfig(format="own %(message)s", level=logging.INFO, force=True)
    logging.getLogger("deep.inside").info("step %s", n)
    logging.getLogger("deep.inside").debug("no step")
    return n


def test_what_workers_log_is_kept_in_the_log_of_the_point(tmp_path, capfd):
    for configures in (False, True):
        dj.run([{}], logs, 2, cache_dir=tmp_path / str(configures), progress=False)(1, configures)
    texts = [next((tmp_path / name).rglob("log.txt")).read_text() for name in ("False", "True")]
    assert "INFO:deep.inside:step 1\n" in texts[0]
    assert "own step 1\n" in texts[1]
    assert "no step" not in "".join(texts)
    assert capfd.readouterr().err == ""


async def coroutine(x):
    return x


async def stream(x):
    yield x


class Awaited:
    async def __call__(self, x):
        return x


@pytest.mark.parametrize("function", [coroutine, stream, functools.partial(coroutine, 1), Awaited()])
def test_async_functions_are_refused_before_anything_is_computed(function, tmp_path):
    with pytest.raises(dj.UsageError, match=r"async def.*asyncio\.run"):
        dj.cachable(table_name="awaited")(function)
    with pytest.raises(dj.UsageError, match=r"async def.*asyncio\.run"):
        dj.cachable(table_name="many", batched=function)(lambda x: x)
    with pytest.raises(dj.UsageError, match=r"async def.*asyncio\.run"):
        dj.run([{}], function, cache_dir=tmp_path)(1)


def test_a_function_may_wait_for_coroutines_inside(tmp_path):
    @dj.cachable(table_name="waits")
    def waits(x):
        return asyncio.run(coroutine(x))

    assert dj.run([{}], waits, cache_dir=tmp_path)(3) == [3]


def test_a_function_that_asks_for_its_own_result_is_told(tmp_path):
    @dj.cachable(table_name="by_cached")
    def by_cached(n):
        return dj.cached(by_cached, tmp_path)(n)

    @dj.cachable(table_name="by_run")
    def by_run(n):
        return dj.run([{}], by_run, cache_dir=tmp_path)(n)[0]

    @dj.cachable(table_name="factorial")
    def factorial(n):  # the twin: another result of itself
        return 1 if n == 0 else n * dj.cached(factorial, tmp_path)(n - 1)

    for function in (by_cached, by_run):
        with pytest.raises(dj.RunError, match="asks the store for the very result"):
            dj.run([{}], function, cache_dir=tmp_path)(1)
        with pytest.raises((dj.RunError, dj.UsageError), match="asks the store for the very result"):
            dj.cached(function, tmp_path)(2)
    assert dj.run([{}], factorial, cache_dir=tmp_path)(4) == [24]
