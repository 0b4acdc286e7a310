"""The signals of a scheduler, as an element's process takes them."""

import signal
import threading

import pytest

from datajuicer.clusters.element import Watch


class Worker:
    """A worker that computes until it is told to stop or killed."""

    def __init__(self):
        self.told: list[str] = []
        self.gone = threading.Event()

    def request_stop(self):
        self.told.append("stop")
        self.gone.set()

    def kill(self):
        self.told.append("kill")
        self.gone.set()


def watch(worker: Worker, is_cancelled: bool = False) -> tuple[Watch, list[str]]:
    heard: list[str] = []
    return (
        Watch(
            worker,
            can_stop=False,
            on_warning=lambda: heard.append("warning"),
            on_end=lambda: heard.append("end"),
            is_cancelled=lambda: is_cancelled,
        ),
        heard,
    )


@pytest.mark.parametrize(
    "arrived",
    [
        [signal.SIGUSR2, signal.SIGINT, signal.SIGTERM],
        [signal.SIGINT, signal.SIGUSR2, signal.SIGTERM],  # as Python hears them: by number
    ],
)
@pytest.mark.parametrize("worker_is_gone_first", [False, True])
def test_a_warning_counts_however_late_it_is_heard(arrived, worker_is_gone_first):
    worker = Worker()
    element, heard = watch(worker)

    def compute():
        element.signals += arrived
        if not worker_is_gone_first:  # the scheduler signals every process: the worker may end by itself
            worker.gone.wait(10)

    element.compute(compute)
    assert heard[:2] == ["warning", "end"]
    assert element.warned
    assert element.ended


def test_the_end_of_a_cancelled_job_is_no_end_of_its_wall_time():
    worker = Worker()
    element, heard = watch(worker, is_cancelled=True)

    def compute():
        element.signals += [signal.SIGUSR2, signal.SIGTERM]
        worker.gone.wait(10)

    element.compute(compute)
    assert heard == ["warning"]
    assert not element.ended
    assert worker.told == ["stop"]
