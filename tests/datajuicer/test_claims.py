"""Claims: one at a time, released, stale when the owner died, taken over by exactly one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer import Store
from datajuicer.store import claims, processes
from datajuicer.store.claims import claim, holding, is_claimed
from datajuicer.store.processes import start_time

KEY = "ab" * 20


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def claimed(store, key=KEY):
    found = claim(store, "f", key)
    assert found is not None
    return found


def stop_touching(one):
    claims._held.pop(one.token, None)


def age(one, seconds):
    stop_touching(one)
    then = time.time() - seconds
    os.utime(one.path, (then, then))


def of_another_machine(one):
    stop_touching(one)
    one.path.write_text(json.dumps({"machine": "elsewhere", "pid": 1}))


def test_a_claim_is_held_until_it_is_released(store):
    first = claimed(store)
    assert claim(store, "f", KEY) is None
    assert is_claimed(store, "f", KEY)
    first.release()
    assert not is_claimed(store, "f", KEY)
    assert claim(store, "f", KEY) is not None


def test_a_silent_claim_from_elsewhere_goes_stale(store):
    first = claimed(store)
    of_another_machine(first)
    age(first, claims.STALE - 5)
    assert claim(store, "f", KEY) is None
    age(first, claims.STALE + 5)
    assert not is_claimed(store, "f", KEY)
    second = claimed(store)
    assert second.number == first.number + 1
    assert claim(store, "f", KEY) is None
    second.release()
    assert not list(store.root.rglob("*.claim.*"))


def test_a_dead_process_of_this_machine_is_known_at_once(store):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    first = claimed(store)
    first.path.write_text(json.dumps({"machine": claims.machine(), "pid": dead.pid}))
    assert not is_claimed(store, "f", KEY)
    assert claim(store, "f", KEY) is not None


def test_a_claim_that_is_still_being_written_counts(store):
    first = claimed(store)
    first.path.write_text("")
    assert is_claimed(store, "f", KEY)
    first.path.write_text("{half")
    assert is_claimed(store, "f", KEY)


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_an_hour_off_makes_no_difference(store, monkeypatch, off):
    """Ages are judged by the clock that stamps the files, so ours may say anything."""
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() + off)
    first = claimed(store)
    of_another_machine(first)
    assert is_claimed(store, "f", KEY)
    then = really() - claims.STALE - 5
    os.utime(first.path, (then, then))
    assert not is_claimed(store, "f", KEY)


def test_a_heartbeat_keeps_a_claim_alive_and_ends_with_the_work(store, monkeypatch):
    monkeypatch.setattr(claims, "HEARTBEAT", 0.01)
    monkeypatch.setattr(claims, "_hearts", {})  # the one of this process may sleep for seconds
    first = claimed(store)
    first.path.write_text(json.dumps({"machine": "elsewhere", "pid": 1}))
    os.utime(first.path, (0, 0))
    with holding([first]):
        deadline = time.monotonic() + 10
        while not is_claimed(store, "f", KEY):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not list(store.root.rglob("*.claim.*"))


def test_a_claim_whose_owner_was_killed_before_it_wrote_is_soon_taken_over(store):
    first = claimed(store)
    first.path.write_text("")
    age(first, claims.UNWRITTEN + 1)
    assert not is_claimed(store, "f", KEY)
    assert claimed(store).number == 1


def test_a_stale_claim_is_taken_over_by_exactly_one(store):
    for attempt in range(20):
        key = f"{attempt:02x}" * 20
        first = claimed(store, key)
        of_another_machine(first)
        age(first, 1000)
        start = threading.Barrier(8)
        won = []

        def contend(key=key, start=start, won=won):
            start.wait()
            if (mine := claim(store, "f", key)) is not None:
                won.append(mine)

        threads = [threading.Thread(target=contend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def of_this_machine(one, **owner):
    content = json.loads(one.path.read_text())
    one.path.write_text(json.dumps({**content, **owner}))


@pytest.fixture
def neighbour():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_on_one_machine_an_owner_lives_as_long_as_its_process(store, neighbour):
    """It may hold the interpreter lock, be stopped or swapped out: no touch for a day."""
    first = claimed(store)
    of_this_machine(first, pid=neighbour.pid, started=start_time(neighbour.pid))
    age(first, 86400)
    os.kill(neighbour.pid, signal.SIGSTOP)
    assert is_claimed(store, "f", KEY)
    os.kill(neighbour.pid, signal.SIGCONT)
    neighbour.kill()
    time.sleep(0.2)  # not waited for: it is a zombie, which computes nothing
    assert not is_claimed(store, "f", KEY)


def test_another_process_of_the_same_number_is_not_the_owner(store, neighbour):
    first = claimed(store)
    of_this_machine(first, pid=neighbour.pid, started=(start_time(neighbour.pid) or 0) - 1)
    assert not is_claimed(store, "f", KEY)


def test_claims_of_earlier_versions_are_judged_by_their_touches(store, neighbour):
    first = claimed(store)
    first.path.write_text(json.dumps({"machine": claims.machine(), "pid": neighbour.pid}))
    assert is_claimed(store, "f", KEY)
    age(first, claims.STALE + 5)
    assert not is_claimed(store, "f", KEY)


def test_a_claim_from_the_future_is_not_alive_for_ever(store):
    first = claimed(store)
    of_another_machine(first)
    age(first, -20)  # clocks differ a little
    assert is_claimed(store, "f", KEY)
    age(first, -7200)  # the server's clock was set back after the owner had died
    assert not is_claimed(store, "f", KEY)


def test_a_machine_may_change_its_name(monkeypatch):
    _, boot, namespace = claims.machine().rsplit(" ", 2)
    if not boot:
        pytest.skip("this system shows no id of its boot")
    assert processes.same_machine(f"other-name {boot} {namespace}")
    assert not processes.same_machine(f"{claims.machine()}0")
    assert not processes.same_machine("")


def test_a_claim_that_could_not_be_removed_is_not_held_for_ever(store, monkeypatch):
    first = claimed(store)
    with monkeypatch.context() as here:
        here.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "read-only")))
        first.release()
    assert first.path.exists()
    assert not is_claimed(store, "f", KEY)
    assert claimed(store).number == 1


def test_asking_for_the_very_result_that_is_being_computed_is_told(tmp_path):
    @dj.cachable(table_name="circle")
    def circle(n):
        return dj.run([{}], circle, cache_dir=tmp_path)(n)

    with pytest.raises(dj.RunError, match="the very result that it is computing"):
        dj.run([{}], circle, cache_dir=tmp_path)(1)
