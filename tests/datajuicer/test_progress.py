"""What a person sees while a run computes."""

import time
from io import StringIO

from datajuicer.running.progress import Board, Plain, duration


def test_progress_reaches_the_display_with_time_left(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    board = Board(4, {"k1": "train n=1"})
    plain = Plain(board)
    plain.event(0, "started", "train", ("k1",))
    clock[0] = 100.0
    plain.event(0, "progress", "k1", 10, 40, "loss 0.5")
    assert "train n=1: 10/40 loss 0.5, 5 min 00 s left" in capsys.readouterr().err
    clock[0] = 110.0
    plain.event(0, "progress", "k1", 11, 40, "")
    assert capsys.readouterr().err == ""  # not every step
    plain.finished("k1", "train n=1", "done")
    assert capsys.readouterr().err == "done: train n=1  [1/4 in 1 min 50 s, 5 min 30 s left]\n"


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
