"""A user's script over the twenty points: `python compute.py <back end> <store> [-retry] [-submit]`.

Computes or follows them to the end, then prints what became of each as JSON: {n: [state, reason]}.
"""

import json
import sys
from pathlib import Path

import points

import datajuicer as dj
from datajuicer.clusters.dask_cluster import dask_cluster
from datajuicer.clusters.site import Site
from datajuicer.clusters.submission import SubmitOptions, submit
from datajuicer.clusters.survey import follow, schedulers, survey
from datajuicer.running.plan import plan

SITE = Site(time="0:02", warning="0:01", cores=1, memory="200MB")
LIMIT = 3.0  # seconds, where there is no scheduler with a wall time


def main(backend: str, folder: str, *words: str) -> None:
    store = dj.Store(folder)
    mode = "retry" if "-retry" in words else "normal"
    known = schedulers()
    calls = plan(points.GRID, points.twenty, ("{n}",), {})
    try:
        if backend == "local":
            dj.run(points.GRID, points.twenty, 2, mode, cache_dir=folder, time_limit=LIMIT)("{n}")
        elif backend in ("dask", "dask_slurm"):
            kind = "local" if backend == "dask" else "slurm"
            with dask_cluster(kind, 2, SITE, Path(folder), chunk=4, time_limit=LIMIT) as executor:
                dj.run(points.GRID, points.twenty, 2, mode, cache_dir=folder, executor=executor)("{n}")
        else:
            options = SubmitOptions(known[backend], SITE, "twenty", retry="-retry" in words)
            submit(store, calls, options, known)
    except dj.RunError as error:
        print(error, file=sys.stderr)
    see = (
        survey(store, calls, known) if "-submit" in words else follow(store, calls, known, lambda _: None, 2)
    )
    found = {}
    for one in see:
        record = store.read("twenty", one.call.key, "failed") if one.state == "failed" else None
        found[one.call.point["n"]] = [one.state, record["error"] if record else one.reason]
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except dj.UsageError as error:
        sys.exit(f"error: {error}")
