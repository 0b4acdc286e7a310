"""What train.py does with -mode: array jobs on LSF or SLURM, Dask, and what becomes of them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import datajuicer as dj
from datajuicer.clusters.dask_cluster import dask_cluster
from datajuicer.clusters.scheduler import Scheduler
from datajuicer.clusters.site import Site
from datajuicer.clusters.submission import SubmitOptions, cancel, prepare, submit
from datajuicer.clusters.survey import PointStatus, follow, schedulers, survey
from jaxrobust.cli.cluster_words import ARRAYS, site_of
from jaxrobust.cli.counts import calls_of, counts, reason
from jaxrobust.cli.experiments import described
from jaxrobust.cli.stores import store_of
from jaxrobust.studies.stages import PlannedStage


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor | None]:
    """Where the computations of -mode=local and -mode=dask run; None: where `run` likes."""
    if options["mode"] != "dask":
        yield None
        return
    kind = options["dask_cluster"]
    site = Site() if kind == "local" else site_of(options)
    logs = store_of(options).root / "campaigns" / "dask"
    with dask_cluster(kind, options["n_threads"], site, logs) as found:
        yield found


def send(stages: Sequence[PlannedStage], label: str, options: Mapping[str, Any]) -> int:
    """Submit what is missing as array jobs, once; with -wait follow them, with -print_script show them."""
    store = store_of(options)
    known = schedulers()
    scheduler: Scheduler = known[ARRAYS[options["mode"]]]
    chained = {(c.name, c.id) for one in stages if one.stage.chained for c in one.calls()}
    how = SubmitOptions(
        scheduler,
        site_of(options),
        label,
        options["models_per_job"],
        options["retry"],
        options["snapshot"],
        chained=lambda call: (call.name, call.id) in chained,
    )
    calls = calls_of(stages)
    if options["print_script"]:
        prepared = prepare(store, survey(store, calls, known), how)
        scripts = [one.script(store, scheduler) for one in prepared]
        print("\n".join(scripts) if scripts else "nothing would be submitted")
        return 0
    for campaign in submit(store, calls, how, known):
        points = sum(len(element.points) for element in campaign.elements)
        print(f"submitted {campaign.name}: {points} models in {len(campaign.elements)} jobs")
    if options["wait"]:
        return _followed(store, calls, known)
    statuses = survey(store, calls, known)
    print(counts(statuses))
    return _explained(statuses)


def end(stages: Sequence[PlannedStage], options: Mapping[str, Any]) -> int:
    """Cancel the array jobs that hold models of the grid."""
    store, known = store_of(options), schedulers()
    ended = cancel(store, survey(store, calls_of(stages), known), known)
    for campaign in ended:
        print(f"cancelled {campaign.name}")
    if not ended:
        print("nothing of this is under way")
    return 0


def _followed(store: dj.Store, calls: list[Any], known: Mapping[str, Scheduler]) -> int:
    said = [""]

    def report(statuses: list[PointStatus]) -> None:
        if said[0] != (text := counts(statuses)):
            said[0] = text
            print(text, file=sys.stderr, flush=True)

    statuses = follow(store, calls, known, report)
    print(counts(statuses))
    return _explained(statuses, store)


def _explained(statuses: Sequence[PointStatus], store: dj.Store | None = None) -> int:
    """1 if something failed or got lost, with what can be done about it."""
    wrong = [one for one in statuses if one.state in ("failed", "lost")]
    for one in wrong if store is not None else []:
        assert store is not None
        print(f"{one.state}: {described(one.call.point)}{reason(store, one)}", file=sys.stderr)
    if wrong:
        print("what failed or got lost is submitted again with -retry; -status says why", file=sys.stderr)
    return 1 if wrong else 0
