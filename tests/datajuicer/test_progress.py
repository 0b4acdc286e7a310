"""What a person sees while a run computes."""

import sys
import time
from io import StringIO
from threading import Thread
from types import SimpleNamespace

import pytest

import datajuicer as dj
from datajuicer.running.board import Board, Line, duration
from datajuicer.running.messages import identifying_keys, identifying_label
from datajuicer.running.progress import Plain


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_progress_reaches_the_display_with_time_left(clock, capsys):
    board = Board(2, {"k1": "train n=1", "k2": "train n=2"}, {"k1": "train", "k2": "train"})
    plain = Plain(board)
    plain.event(0, "started", "train", ("k1",))
    clock[0] = 90.0  # it compiled
    plain.event(0, "progress", "k1", 1, 40, "")
    assert capsys.readouterr().err == "train n=1: 1/40 \n"
    clock[0] = 91.0
    plain.event(0, "progress", "k1", 2, 40, "")
    clock[0] = 191.0
    plain.event(0, "progress", "k1", 12, 40, "loss 0.5")
    assert capsys.readouterr().err == "train n=1: 12/40 loss 0.5, 4 min 40 s left\n"
    clock[0] = 192.0
    plain.event(0, "progress", "k1", 13, 40, "")
    assert capsys.readouterr().err == ""  # not every step
    plain.finished("k1", "train n=1", "done")
    assert capsys.readouterr().err == "done: train n=1  [1/2 in 3 min 12 s, 3 min 12 s left]\n"


def test_what_is_compiled_or_resumed_is_not_extrapolated(clock):
    board = Board(1, {"k": "train"})
    line = board.event(0, "started", "train", ("k",))
    for seconds, done, left in ((0, 500, ""), (60, 501, ""), (61, 502, ""), (71, 512, "8 min 08 s")):
        clock[0] = seconds
        board.event(0, "progress", "k", done, 1000 if seconds else 0, "compiling …")
        assert line.left() == left


def test_the_time_of_one_kind_says_nothing_of_another(clock):
    names = {"a1": "mlp", "a2": "mlp", "b1": "lsnn", "b2": "lsnn"}
    board = Board(4, names, {key: key[0] for key in names})
    for key, seconds, left in (("a1", 1, ""), ("a2", 2, ""), ("b1", 100, ", 98 s left")):
        board.event(0, "started", "train", (key,))
        clock[0] = seconds
        board.finished(key, "done")
        assert board.summary().endswith(left or duration(seconds))
    twice = Board(4, names, dict.fromkeys(names, "one"), n_workers=2)
    for worker, key in enumerate(("a1", "a2")):
        twice.event(worker, "started", "train", (key,))
    clock[0] = 110.0
    for key in ("a1", "a2"):
        twice.finished(key, "done")
    assert twice.summary() == "2/4 in 10 s, 10 s left"


def test_points_of_another_executor_are_counted_as_they_come(clock):
    board = Board(4, {"k": ""}, dict.fromkeys("abcd", "f"))
    for seconds, key in ((10.0, "a"), (20.0, "b")):
        clock[0] = seconds
        board.finished(key, "done")
    assert board.summary() == "2/4 in 20 s, 20 s left"


@pytest.fixture
def notebook(monkeypatch):
    """A kernel of a notebook, and what it displays: each bar with its drawings."""
    shown = []

    class Handle:
        def __init__(self, html):
            self.drawings = [html]
            shown.append(self.drawings)

        def update(self, html):
            self.drawings.append(html)

    shell = type("ZMQInteractiveShell", (), {})()
    display = SimpleNamespace(HTML=lambda html: html, display=lambda html, display_id: Handle(html))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_shows_one_bar_that_is_drawn_over_again(clock, notebook, tmp_path, capsys):
    def work(n, job):
        for done in range(1, 5):
            clock[0] += 1.0
            job.progress(done, 4, "loss <0.5")
        return n

    dj.run(dj.split([{}], "n", [1, 2, 3]), dj.cachable()(work), cache_dir=tmp_path)("{n}")
    (drawings,) = notebook
    assert len(drawings) > 4
    assert 'value="0.500" max="3"' in drawings[1]
    assert "work n=1 loss &lt;0.5" in drawings[1]
    assert 'value="3.000"' in drawings[-1]
    assert "3/3 in 12 s" in drawings[-1]
    assert capsys.readouterr().err == ""


def test_a_short_run_in_a_notebook_shows_nothing(notebook, tmp_path):
    dj.run([{}], dj.cachable()(abs), cache_dir=tmp_path)(-1)
    assert notebook == []


def test_labels_show_what_differs_and_no_constant():
    class Standard: ...

    class Robust: ...

    grid = dj.split(
        [{"split": "patients", "data": "ecg", "hidden": 48}], "method", ["Standard", "Noise + beta"]
    )
    grid = dj.split(dj.split(grid, "seed", [0, 1]), "level", [0.1, 0.2, 0.3])
    keys = identifying_keys(grid, ["train"] * len(grid))
    assert keys == ("method", "level", "seed")
    assert identifying_label(grid[0], keys) == "method='Standard', level=0.1, seed=0"
    # one network has one data set and one split: saying all three would say nothing more
    networks = [{"data": "ecg", "split": "patients", "seed": 0}, {"data": "digits", "split": "", "seed": 0}]
    assert len(identifying_keys(networks, ["train", "train"])) == 1
    assert identifying_keys(networks, ["train_lsnn", "train_mlp"]) == ()
    typed = [{"method": Standard(), "seed": 0}, {"method": Robust(), "seed": 0}]
    assert identifying_label(typed[1], identifying_keys(typed, ["t", "t"])) == "method=Robust"
    assert identifying_keys([{"n": 1}], ["f"]) == ()
    pairs = [{"front": {"seed": i, "n": 1}, "end": {"seed": 1 - i, "n": 1}} for i in (0, 1)]
    assert identifying_label(pairs[0], identifying_keys(pairs, ["join"] * 2)) == "end.seed=1"


def test_the_live_display_shows_one_line_a_worker():
    from rich.console import Console

    from datajuicer.running.progress import Live

    live = Live(Board(4, {"k1": "train n=1"}))
    live.timer.cancel()
    live.event(0, "started", "train", ("k1",))
    live.event(0, "progress", "k1", 10, 40, "loss 0.5")
    live.event(1, "started", "train", ("k2", "k3"))
    console = Console(width=120, record=True, file=StringIO())
    console.print(live.table())
    text = console.export_text()
    assert "train n=1" in text
    assert "10/40" in text
    assert "loss 0.5" in text
    assert "2 points at once" in text
    assert "0/4" in text
    for key in ("k1", "k2"):
        live.finished(key, "train", "done")
    console.print(live.table())
    text = console.export_text()
    assert "2/4" in text
    assert "train n=1" not in text
    assert "2 points at once" in text
    live.close()


def test_durations_are_said_as_people_say_them():
    assert [duration(s) for s in (3.2, 99, 150, 7384)] == ["3 s", "99 s", "2 min 30 s", "2 h 03 min"]


def test_a_worker_may_report_while_the_remaining_time_is_computed():
    class Reports(Line):
        """Another worker starts in the middle."""

        def seconds_left(self):
            other = Thread(target=board.event, args=(len(board.lines), "started", "train", ["b"]))
            other.start()
            other.join(0.2)
            return None

    board = Board(2, {}, dict.fromkeys("ab", "train"))
    board.event(0, "started", "train", ["a"])
    board.lines[0] = Reports(time.monotonic(), keys={"a"})
    assert board.summary() == "0/2 in 0 s"
