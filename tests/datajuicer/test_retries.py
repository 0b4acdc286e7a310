"""Points that are tried again by themselves, and runs that give up after some failures."""

import pytest

import datajuicer as dj
from datajuicer import UsageError
from datajuicer.running import schedule


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(schedule, "RETRY_AFTER", 0.01)
    monkeypatch.setattr(schedule, "POLL_INTERVAL", 0.01)


@dj.cachable(["n"], table_name="flaky", on_code_change="ignore")
def flaky(n, folder, error):
    """Fails n times."""
    with open(f"{folder}/{n}", "a+") as tries:
        tries.write("x")
        tries.seek(0)
        if len(tries.read()) <= n:
            raise error("planted")
    return n


def run(folder, numbers, error=OSError, **how):
    grid = [{"n": n} for n in numbers]
    return dj.run(grid, flaky, cache_dir=folder / "s", **how)("{n}", str(folder), error)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_may_help_is_tried_again(tmp_path, n_threads):
    assert run(tmp_path, [0, 1, 2], retries=2, n_threads=n_threads) == [0, 1, 2]
    assert (tmp_path / "2").read_text() == "xxx"


def test_it_is_not_tried_for_ever(tmp_path):
    with pytest.raises(dj.RunError, match="planted") as error:
        run(tmp_path, [0, 3], retries=2)
    assert (tmp_path / "3").read_text() == "xxx"
    assert not error.value.failures[0].recorded
    assert error.value.results == [0, None]


def test_failures_that_are_recorded_are_not_tried_again(tmp_path):
    with pytest.raises(dj.RunError):
        run(tmp_path, [1], ValueError, retries=2)
    assert (tmp_path / "1").read_text() == "x"


def test_without_retries_nothing_is_tried_again(tmp_path):
    with pytest.raises(dj.RunError):
        run(tmp_path, [1])
    assert (tmp_path / "1").read_text() == "x"


@pytest.mark.parametrize("n_threads", [1, 2])
def test_after_some_failures_nothing_more_is_begun(tmp_path, n_threads):
    numbers = [0, *range(1, 20)]
    with pytest.raises(dj.RunError, match=r"points have failed \(max_failures\)") as error:
        run(tmp_path, numbers, ValueError, max_failures=3, n_threads=n_threads)
    assert error.value.results[0] == 0
    assert 3 <= sum(failure.recorded for failure in error.value.failures) <= 3 + 2 * n_threads
    assert len(error.value.failures) == 19
    begun = sum((tmp_path / str(n)).exists() for n in numbers)
    assert begun <= 4 + 2 * n_threads


def test_fewer_failures_stop_nothing(tmp_path):
    with pytest.raises(dj.RunError) as error:
        run(tmp_path, [1, 2, 0], ValueError, max_failures=3)
    assert error.value.results == [None, None, 0]


@pytest.mark.parametrize(
    "words", [{"max_failures": 0}, {"max_failures": True}, {"retries": -1}, {"retries": "2"}]
)
def test_other_numbers_are_refused(tmp_path, words):
    with pytest.raises(UsageError, match=f"{next(iter(words))}=.* must be a whole number"):
        run(tmp_path, [0], **words)
