"""Calls over the workers of a Dask client: `run(..., executor=DaskExecutor(client))`.

Calls travel in chunks, since one message for each would cost more than a short evaluation; the chunks are so
small that every worker gets at least two. A Dask worker computes in a separate process, so that a
crash or a time limit ends one call and not the worker. Results go through the store alone; what Dask carries
back only says how it went.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from datajuicer.errors import Interrupted
from datajuicer.keys import module_name
from datajuicer.store.processes import machine
from datajuicer.workers.local import THREAD_SETTINGS, LocalExecutor, environment

CHUNK = 16
_GATHER = 0.05  # seconds without a further call after which the calls that wait are sent
_PLUGIN = "datajuicer"

_Waiting = list[tuple[Future[Any], bytes]]


class DaskExecutor(Executor):
    """The workers of a Dask client.

    Whoever reaches the port of the client's scheduler can run code as you: give the client a
    `distributed.Security`, or keep it in this process (`protocol="inproc://"`), as `dask_cluster` does.

    Args:
        client: a `distributed.Client`. Its workers must see the store under the same path.
        chunk: calls that travel together at most.
        workers: how many workers the client will have; default: as many as it has now.
        time_limit: seconds for each call; None: as long as it takes.
        threads: processor threads for each worker.
    """

    def __init__(
        self,
        client: Any,
        *,
        chunk: int = CHUNK,
        workers: int | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
    ):
        self.client = client
        self.chunk = chunk
        self.workers = workers or max(1, sum(client.nthreads().values()))
        self._waiting: _Waiting = []
        self._gathering = False
        self._last = 0.0  # when the last call came
        self._lock = threading.Lock()
        setup = {
            "process": (machine(), os.getpid()),
            "path": [str(Path(entry or ".").absolute()) for entry in sys.path],
            "python_path": environment(0)["PYTHONPATH"],
            "main": module_name("__main__"),
            "time_limit": time_limit,
            "threads": threads,
        }
        client.register_plugin(_plugin(setup), name=_PLUGIN)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call; it leaves with the next chunk."""
        import cloudpickle

        future: Future[Any] = Future()
        payload = cloudpickle.dumps((fn, args, kwargs))
        with self._lock:
            self._waiting.append((future, payload))
            self._last = time.monotonic()
            is_full = len(self._waiting) >= 2 * self.workers * self.chunk
            starts, self._gathering = not self._gathering and not is_full, not is_full
        if is_full:
            self._send_all()
        elif starts:
            threading.Thread(target=self._gather, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Send what waits, or cancel it; the client stays, for it is not ours."""
        if cancel_futures:
            for future, _ in self._take():
                future.cancel()
        else:
            self._send_all()

    def request_stop(self) -> None:
        """Ask what runs for a checkpoint; what is queued comes back as it is, without a result."""
        with suppress(Exception):  # of a client that is closed: nothing runs there any more
            self.client.run(_request_stop)

    def kill(self) -> None:
        """End the processes beside all workers."""
        with suppress(Exception):
            self.client.run(_kill, wait=False)

    def _gather(self) -> None:
        """Send what waits as soon as no further call has come for a moment: only then is its number known."""
        while (left := self._last + _GATHER - time.monotonic()) > 0:
            time.sleep(left)
        self._send_all()

    def _take(self) -> _Waiting:
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._gathering = False
        return taken

    def _send_all(self) -> None:
        waiting = self._take()
        size = chunk_size(len(waiting), self.workers, self.chunk)
        for start in range(0, len(waiting), size):
            chunk = [one for one in waiting[start : start + size] if one[0].set_running_or_notify_cancel()]
            if chunk:
                sent = self.client.submit(_compute_chunk, [payload for _, payload in chunk], pure=False)
                sent.add_done_callback(lambda done, chunk=chunk: _hand_out(done, [f for f, _ in chunk]))


def chunk_size(calls: int, workers: int, most: int = CHUNK) -> int:
    """Return how many calls travel together, so that each worker gets two chunks where there are enough.

    Example:
        >>> chunk_size(12, 4), chunk_size(1000, 4), chunk_size(3, 4)
        (1, 16, 1)
    """
    return max(1, min(most, calls // (2 * workers)))


def _hand_out(done: Any, futures: list[Future[Any]]) -> None:
    answers: list[tuple[bool, Any]]
    try:
        answers = done.result()
    except BaseException as error:  # the Dask worker itself is gone, or the chunk was cancelled
        answers = [(False, RuntimeError(f"Dask: {error}"))] * len(futures)
    for future, (worked, answer) in zip(futures, answers, strict=True):
        future.set_result(answer) if worked else future.set_exception(answer)


def _plugin(setup: dict[str, Any]) -> Any:
    from distributed import WorkerPlugin

    class Beside(WorkerPlugin):
        """Keeps a worker process beside a Dask worker, and ends it with the worker."""

        def setup(self, worker: Any) -> None:
            if (machine(), os.getpid()) != setup["process"]:  # a Dask worker may live in the client's process
                sys.path[:] = dict.fromkeys([*setup["path"], *sys.path])
                os.environ["PYTHONPATH"] = setup["python_path"]
                if setup["threads"]:
                    os.environ.update(dict.fromkeys(THREAD_SETTINGS, str(setup["threads"])))
            self.is_stopping = False
            self.executor = LocalExecutor(
                1, time_limit=setup["time_limit"], main=setup["main"], threads=setup["threads"]
            )

        def teardown(self, worker: Any) -> None:
            self.executor.kill()
            self.executor.shutdown(wait=False, cancel_futures=True)

    return Beside()


def _request_stop(dask_worker: Any) -> None:
    beside = dask_worker.plugins[_PLUGIN]
    beside.is_stopping = True
    beside.executor.request_stop()


def _kill(dask_worker: Any) -> None:
    beside = dask_worker.plugins[_PLUGIN]
    beside.is_stopping = True
    beside.executor.kill()


def _compute_chunk(payloads: list[bytes]) -> list[tuple[bool, Any]]:
    """What a Dask worker runs: each call in the process beside it, one after the other."""
    from distributed import get_worker

    return list(_answers(get_worker().plugins[_PLUGIN], payloads))


def _answers(beside: Any, payloads: list[bytes]) -> Iterator[tuple[bool, Any]]:
    import pickle

    for payload in payloads:
        if beside.is_stopping:
            yield False, Interrupted("the run was stopped")
            continue
        fn, args, kwargs = pickle.loads(payload)
        future = beside.executor.submit(fn, *args, **kwargs)
        try:
            yield True, future.result()
        except BaseException as error:
            yield False, error
