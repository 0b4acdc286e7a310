"""``-stop_after``: seconds after which a command asks for checkpoints and ends, as on Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STATUS = 124  # as of timeout(1): not finished, and nothing failed


class TimeIsUp(Exception):
    """The seconds are over; what was finished is stored, what ran has its checkpoint."""


@contextmanager
def stopping_after(seconds: int) -> Iterator[None]:
    """Interrupt the body after some seconds, once; 0 for never.

    Raises:
        TimeIsUp: In place of the ``KeyboardInterrupt`` that ended the body after the time.
    """
    is_over = threading.Event()

    def interrupt() -> None:
        is_over.set()
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if is_over.is_set():
            raise TimeIsUp from None
        raise
    finally:
        timer.cancel()
