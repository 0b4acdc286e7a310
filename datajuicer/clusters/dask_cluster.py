"""Dask clusters of ours: worker processes on this machine, or jobs of LSF and SLURM.

Whoever reaches the port of a Dask scheduler can run code as the one who started it. So on this machine there
is no port: scheduler and Dask workers live in this process, and compute in processes beside it. Between
machines both sides prove with a certificate, made for this run alone, that they belong together, and what
they send is encrypted.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from datajuicer.clusters.commands import plain_environment
from datajuicer.clusters.dask_executor import CHUNK, DaskExecutor
from datajuicer.clusters.site import Site, checked_set_up
from datajuicer.errors import UsageError
from datajuicer.workers.local import environment

Cluster = Literal["local", "lsf", "slurm"]


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
        UsageError: Dask is not installed, or for jobs what it needs to encrypt.
    """
    try:
        from dask import config
        from distributed import Client
    except ImportError as error:
        raise UsageError("-mode=dask needs Dask: pip install 'jaxrobust[cluster]'") from error
    with config.set(_QUIET):
        if kind == "local":
            cluster = _in_this_process(workers)
            threads = max(1, len(os.sched_getaffinity(0)) // workers)
        else:
            cluster = job_cluster(kind, site, logs, _security())
            cluster.scale(jobs=workers)
            threads = site.cores
        with _plain_environment(), cluster, Client(cluster) as client:
            yield DaskExecutor(client, chunk=chunk, workers=workers, time_limit=time_limit, threads=threads)


def _in_this_process(workers: int) -> Any:
    from distributed import Scheduler, SpecCluster, Worker

    inside = {"protocol": "inproc://", **_NO_DASHBOARD}
    # no limit of memory: it would be that of this process, and nothing is computed in it
    worker = {"cls": Worker, "options": {**inside, "nthreads": 1, "memory_limit": 0}}
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": inside},
        workers=dict.fromkeys(range(workers), worker),
        silence_logs=50,  # type: ignore[arg-type] # a level, as documented
    )


@contextmanager
def _plain_environment() -> Iterator[None]:
    """Take variables that change what a scheduler's commands do from this process, since Dask runs them."""
    removed = {
        name: os.environ.pop(name) for name in os.environ.keys() - plain_environment(os.environ).keys()
    }
    try:
        yield
    finally:
        os.environ.update(removed)


# HTTP servers are started all the same; these have no pages, and no other machine reaches them.
_QUIET = {
    "distributed.logging.distributed": "error",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


def _security() -> Any:
    from distributed import Security

    try:
        return Security.temporary()
    except ImportError as error:
        raise UsageError(
            "Dask's jobs need encrypted connections, and those the package cryptography: pip install "
            "'jaxrobust[cluster]'"
        ) from error


def job_cluster(kind: Cluster, site: Site, logs: Path, security: Any = None) -> Any:
    """A dask-jobqueue cluster with the site's settings; each job is one worker.

    Args:
        kind: "lsf" or "slurm".
        site: what each job asks for.
        logs: a folder that the nodes see: for what the jobs write, and for the certificates.
        security: a `distributed.Security`; None: nothing is encrypted.
    """
    from dask_jobqueue.lsf import LSFCluster
    from dask_jobqueue.slurm import SLURMCluster

    common: dict[str, Any] = {
        "cores": 1,  # chunks at a time; a chunk uses all cores of its job
        "processes": 1,
        "memory": f"{site.megabytes * site.cores}MB",
        "queue": site.queue or None,
        "job_script_prologue": [
            *checked_set_up(site),
            f"export PYTHONPATH={shlex.quote(environment(0)['PYTHONPATH'])}",
        ],
        "shebang": "#!/bin/bash -l" if site.login_shell else "#!/bin/bash",
        "log_directory": str(logs),
        "death_timeout": 600,
        "scheduler_options": _NO_DASHBOARD,
    }
    if security is not None:
        logs.mkdir(parents=True, exist_ok=True)
        common |= {"security": security, "protocol": "tls://", "shared_temp_directory": str(logs)}
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
