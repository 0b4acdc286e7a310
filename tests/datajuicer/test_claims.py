"""Claims: one at a time, released, stale when the owner died, taken over by exactly one."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from datajuicer import Store
from datajuicer.store import claims
from datajuicer.store.claims import claim, heartbeat, is_claimed

KEY = "ab" * 20


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def age(one, seconds):
    then = time.time() - seconds
    os.utime(one.path, (then, then))


def of_another_machine(one):
    one.path.write_text(json.dumps({"machine": "elsewhere", "pid": 1}))


def test_a_claim_is_held_until_it_is_released(store):
    first = claim(store, "f", KEY)
    assert first is not None
    assert claim(store, "f", KEY) is None
    assert is_claimed(store, "f", KEY)
    first.release()
    assert not is_claimed(store, "f", KEY)
    assert claim(store, "f", KEY) is not None


def test_a_silent_claim_from_elsewhere_goes_stale(store):
    first = claim(store, "f", KEY)
    of_another_machine(first)
    age(first, claims.STALE - 5)
    assert claim(store, "f", KEY) is None
    age(first, claims.STALE + 5)
    assert not is_claimed(store, "f", KEY)
    second = claim(store, "f", KEY)
    assert second.number == first.number + 1
    assert claim(store, "f", KEY) is None
    second.release()
    assert not list(store.root.rglob("*.claim.*"))


def test_a_dead_process_of_this_machine_is_known_at_once(store):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    first = claim(store, "f", KEY)
    first.path.write_text(json.dumps({"machine": claims.machine(), "pid": dead.pid}))
    assert not is_claimed(store, "f", KEY)
    assert claim(store, "f", KEY) is not None


def test_a_claim_that_is_still_being_written_counts(store):
    first = claim(store, "f", KEY)
    first.path.write_text("")
    assert is_claimed(store, "f", KEY)
    first.path.write_text("{half")
    assert is_claimed(store, "f", KEY)


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_an_hour_off_makes_no_difference(store, monkeypatch, off):
    """Ages are judged by the clock that stamps the files, so ours may say anything."""
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() + off)
    first = claim(store, "f", KEY)
    of_another_machine(first)
    assert is_claimed(store, "f", KEY)
    then = really() - claims.STALE - 5
    os.utime(first.path, (then, then))
    assert not is_claimed(store, "f", KEY)


def test_a_heartbeat_keeps_a_claim_alive_and_ends_with_the_work(store):
    first = claim(store, "f", KEY)
    of_another_machine(first)
    age(first, 1000)
    with heartbeat([first], every=0.01):
        deadline = time.monotonic() + 10
        while not is_claimed(store, "f", KEY):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not list(store.root.rglob("*.claim.*"))


def test_a_stale_claim_is_taken_over_by_exactly_one(store):
    for attempt in range(20):
        key = f"{attempt:02x}" * 20
        first = claim(store, "f", key)
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
