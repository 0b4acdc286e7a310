"""Dask: many short evaluations on one machine or on a cluster, through `run(..., executor=…)`.

Points travel in chunks, since one message for each would cost more than a short evaluation. A Dask worker
computes in a process of its own beside it, so that a crash or a time limit ends one point and not the worker.
Results go through the store alone; what Dask carries back only says how it went.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from datajuicer.clusters.site import Site
from datajuicer.errors import UsageError
from datajuicer.keys import module_name
from datajuicer.workers.local import THREAD_SETTINGS, LocalExecutor, environment

CHUNK = 16
_FLUSH = 0.05  # seconds after which a chunk that is not full yet is sent
_PLUGIN = "datajuicer"

Cluster = Literal["local", "lsf", "slurm"]


class DaskExecutor(Executor):
    """The workers of a Dask client.

    Args:
        client: a `distributed.Client`. Its workers must see the store under the same path.
        chunk: calls that travel together.
        time_limit: seconds for each call; None: as long as it takes.
        threads: processor threads for each worker.
    """

    def __init__(
        self, client: Any, *, chunk: int = CHUNK, time_limit: float | None = None, threads: int | None = None
    ):
        self.client = client
        self.chunk = chunk
        self._waiting: list[tuple[Future[Any], bytes]] = []
        self._lock = threading.Lock()
        self._sent: set[Any] = set()
        setup = {
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
        with self._lock:
            self._waiting.append((future, cloudpickle.dumps((fn, args, kwargs))))
            count = len(self._waiting)
        if count >= self.chunk:
            self._flush()
        elif count == 1:
            timer = threading.Timer(_FLUSH, self._flush)
            timer.daemon = True
            timer.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Send what waits; the client stays, for it is not ours."""
        self._flush()
        if cancel_futures:
            self.client.cancel(list(self._sent))

    def _flush(self) -> None:
        with self._lock:
            chunk, self._waiting = self._waiting, []
        if not chunk:
            return
        sent = self.client.submit(_compute_chunk, [payload for _, payload in chunk], pure=False)
        self._sent.add(sent)
        sent.add_done_callback(lambda done: self._hand_out(done, [future for future, _ in chunk]))

    def _hand_out(self, done: Any, futures: list[Future[Any]]) -> None:
        self._sent.discard(done)
        answers: list[tuple[bool, Any]]
        try:
            answers = done.result()
        except BaseException as error:  # the Dask worker itself is gone, or the chunk was cancelled
            answers = [(False, RuntimeError(f"Dask: {error}"))] * len(futures)
        for future, (worked, answer) in zip(futures, answers, strict=True):
            if future.set_running_or_notify_cancel():
                future.set_result(answer) if worked else future.set_exception(answer)


@contextmanager
def dask_cluster(
    kind: Cluster,
    workers: int,
    site: Site,
    logs: Path,
    *,
    chunk: int = CHUNK,
    time_limit: float | None = None,
) -> Iterator[DaskExecutor]:
    """Dask workers for as long as the body runs.

    Args:
        kind: where: this machine, or jobs of LSF or SLURM.
        workers: processes here, or jobs there.
        site: what each job asks for.
        logs: a folder for what the jobs write.
        chunk: see `DaskExecutor`.
        time_limit: see `DaskExecutor`.

    Raises:
        UsageError: Dask is not installed.
    """
    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("-mode=dask needs Dask: pip install 'jaxrobust[cluster]'") from error
    with config.set({"distributed.logging.distributed": "error"}):
        if kind == "local":
            local: Any = LocalCluster  # its annotations do not know that None means no dashboard
            cluster: Any = local(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
            )
            threads = max(1, len(os.sched_getaffinity(0)) // workers)
        else:
            cluster = job_cluster(kind, site, logs)
            cluster.scale(jobs=workers)
            threads = site.cores
        with cluster, Client(cluster) as client:
            yield DaskExecutor(client, chunk=chunk, time_limit=time_limit, threads=threads)


def job_cluster(kind: Cluster, site: Site, logs: Path) -> Any:
    """A dask-jobqueue cluster with the site's settings; each job is one worker."""
    from dask_jobqueue.lsf import LSFCluster
    from dask_jobqueue.slurm import SLURMCluster

    common: dict[str, Any] = {
        "cores": 1,  # chunks at a time; a chunk uses all cores of its job
        "processes": 1,
        "memory": f"{site.megabytes * site.cores}MB",
        "queue": site.queue or None,
        "job_script_prologue": [
            *site.set_up,
            f"export PYTHONPATH={shlex.quote(environment(0)['PYTHONPATH'])}",
        ],
        "log_directory": str(logs),
        "death_timeout": 600,
        "scheduler_options": {"dashboard": False},
    }
    if kind == "slurm":
        gpus = [f"--gpus={site.gpus}"] if site.gpus else []
        return SLURMCluster(
            **common,
            account=site.project or None,
            walltime=f"{site.time}:00",
            job_cpu=site.cores,
            job_mem=f"{site.megabytes * site.cores}M",
            job_extra_directives=[*site.extra, *gpus],
        )
    gpus = [f'-gpu "num={site.gpus}"'] if site.gpus else []
    return LSFCluster(
        **common,
        project=site.project or None,
        walltime=site.time,
        ncpus=site.cores,
        mem=site.megabytes * site.cores * 1024 * 1024,
        job_extra_directives=[f'-R "rusage[mem={site.megabytes}MB]"', *site.extra, *gpus],
    )


def _plugin(setup: dict[str, Any]) -> Any:
    from distributed import WorkerPlugin

    class Beside(WorkerPlugin):
        """Keeps a worker process beside a Dask worker, and ends it with the worker."""

        def setup(self, worker: Any) -> None:
            sys.path[:] = dict.fromkeys([*setup["path"], *sys.path])
            os.environ["PYTHONPATH"] = setup["python_path"]
            if setup["threads"]:
                os.environ.update(dict.fromkeys(THREAD_SETTINGS, str(setup["threads"])))
            self.executor = LocalExecutor(1, time_limit=setup["time_limit"], main=setup["main"])

        def teardown(self, worker: Any) -> None:
            self.executor.kill()
            self.executor.shutdown(wait=False, cancel_futures=True)

    return Beside()


def _compute_chunk(payloads: list[bytes]) -> list[tuple[bool, Any]]:
    """What a Dask worker runs: each call in the process beside it, one after the other."""
    import pickle

    from distributed import get_worker

    executor: LocalExecutor = get_worker().plugins[_PLUGIN].executor  # type: ignore[attr-defined]
    answers: list[tuple[bool, Any]] = []
    for payload in payloads:
        fn, args, kwargs = pickle.loads(payload)
        future = executor.submit(fn, *args, **kwargs)
        try:
            answers.append((True, future.result()))
        except BaseException as error:
            answers.append((False, error))
    return answers
