"""What train.py does with -mode: array jobs on LSF or SLURM, Dask, and what becomes of them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import datajuicer as dj
from datajuicer.clusters.dask_cluster import dask_cluster
from datajuicer.clusters.scheduler import Scheduler
from datajuicer.clusters.site import FILE, Site, read_site
from datajuicer.clusters.submission import SubmitOptions, cancel, prepare, submit
from datajuicer.clusters.survey import PointStatus, follow, schedulers, survey
from datajuicer.running.code.provenance import EARLIER
from datajuicer.running.plan import Call
from datajuicer.running.states import State
from datajuicer.running.status import made_earlier
from jaxrobust.cli.experiments import described
from jaxrobust.cli.words import Option
from jaxrobust.errors import InputError
from jaxrobust.settings import from_text, nearest
from jaxrobust.studies.stages import PlannedStage

MODES = {
    "local": "worker processes of this machine",
    "bsub": "one array job on LSF",
    "slurm": "one array job on SLURM",
    "dask": "Dask workers, for what is short",
}
ARRAYS = {"bsub": "lsf", "slurm": "slurm"}
DASK_CLUSTERS = ("local", "lsf", "slurm")

_SITE = {
    "time": "wall time of a job, H:MM",
    "warning": "how long before its end a training is asked for its checkpoint, H:MM",
    "cores": "processor cores of a job",
    "memory": "memory for each core, with a unit: 4096MB",
    "gpus": "GPUs of a job",
    "queue": "queue (LSF) or partition (SLURM)",
    "project": "project (LSF) or account (SLURM) that pays",
    "max_running": "elements that run at a time; 0: as many as the site lets",
    "array_limit": "elements of one array",
    "extra": "a further option of bsub or sbatch",
    "set_up": "a command that each job runs first",
}
_ARRAY_WORDS = ("wait", "print_script")
_FILE_WORDS = ("launch_settings", "profile")

OPTIONS = {
    "mode": Option("local", "; ".join(f"{name}: {what}" for name, what in MODES.items())),
    "wait": Option(False, "follow the array job until it is through"),
    "cancel": Option(False, "end the array jobs that hold these models"),
    "print_script": Option(False, "show what would be sent; send nothing"),
    "dask_cluster": Option("local", f"where Dask's workers run: {', '.join(DASK_CLUSTERS)}"),
    "launch_settings": Option("", f"file of the site settings; {FILE} if not given"),
    "profile": Option("", "a table of that file"),
    **{name: Option("", f"{what} (site setting)") for name, what in _SITE.items()},
}


def check(options: Mapping[str, Any]) -> None:
    """Raise ``InputError`` or ``UsageError`` for words that do not go together and for bad site settings."""
    mode = options["mode"]
    if mode not in MODES:
        raise InputError(f"-mode={mode} is none of {', '.join(MODES)}.{nearest(mode, MODES)}")
    if options["dask_cluster"] not in DASK_CLUSTERS:
        raise InputError(f"-dask_cluster={options['dask_cluster']} is none of {', '.join(DASK_CLUSTERS)}.")
    in_jobs = mode in ARRAYS or (mode == "dask" and options["dask_cluster"] != "local")
    typed = {name for name, option in OPTIONS.items() if options[name] != option.default}
    for names, fits, where in (
        (_ARRAY_WORDS, mode in ARRAYS, "-mode=bsub or -mode=slurm"),
        ((*_SITE, *_FILE_WORDS), in_jobs, "-mode=bsub, -mode=slurm or -dask_cluster=lsf or slurm"),
        (("dask_cluster",), mode == "dask", "-mode=dask"),
    ):
        for name in names:
            if name in typed and not fits:
                raise InputError(f"-{name} means something only with {where}.")
    if in_jobs:
        site_of(options)  # bad settings are said before data are looked for
    if mode in ARRAYS and options["force"]:
        raise InputError(f"-force computes here; with -mode={mode} only what is missing or failed is sent.")
    if mode in ARRAYS and options["n_threads"] != 1:
        raise InputError(f"-n_threads counts processes here; with -mode={mode} there is -max_running.")


def site_of(options: Mapping[str, Any]) -> Site:
    """The site settings from file, profile and what was typed."""
    changes: dict[str, Any] = {}
    for field in fields(Site):
        text, default = options[field.name], getattr(Site(), field.name)
        if text:
            changes[field.name] = (
                [text] if isinstance(default, tuple) else from_text(field.name, text, default)
            )
    file = Path(options["launch_settings"]) if options["launch_settings"] else None
    return read_site(file, options["profile"], changes)


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor | None]:
    """Where the computations of -mode=local and -mode=dask run; None: where `run` likes."""
    if options["mode"] != "dask":
        yield None
        return
    kind = options["dask_cluster"]
    site = Site() if kind == "local" else site_of(options)
    logs = Path(options["sessions"]).absolute() / "campaigns" / "dask"
    with dask_cluster(kind, options["n_threads"], site, logs) as found:
        yield found


def _calls(stages: Sequence[PlannedStage]) -> list[Call]:
    """The computations of all stages, each once, parents before the points that need them."""
    found: dict[tuple[str, str], Call] = {}
    for planned in stages:
        for call in planned.calls():
            found.setdefault((call.name, call.id), call)
    return list(found.values())


def send(stages: Sequence[PlannedStage], label: str, options: Mapping[str, Any]) -> int:
    """Submit what is missing as array jobs, once; with -wait follow them, with -print_script show them."""
    store = dj.Store(options["sessions"])
    known = schedulers()
    scheduler: Scheduler = known[ARRAYS[options["mode"]]]
    chained = {(c.name, c.id) for one in stages if one.stage.chained for c in one.calls()}
    how = SubmitOptions(
        scheduler,
        site_of(options),
        label,
        options["models_per_job"],
        options["retry"],
        chained=lambda call: (call.name, call.id) in chained,
    )
    calls = _calls(stages)
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
    _print_counts(statuses)
    return _explained(statuses)


def report(stages: Sequence[PlannedStage], options: Mapping[str, Any]) -> int:
    """Print how many models are done, running, pending and so on, and name those that are not done.

    A model that several experiments share is one model.
    """
    store = dj.Store(options["sessions"])
    statuses = survey(store, _calls(stages), schedulers())
    _print_counts(statuses)
    earlier = made_earlier(store, [one.call for one in statuses], [one.state for one in statuses])
    if earlier:
        print(f"{len(earlier)} of the done were {EARLIER}")
    for state in list(State)[1:]:
        for one in statuses:
            if one.state == state:
                print(f"  {state:9} {described(one.call.point)}{_reason(store, one)}")
    return 0


def end(stages: Sequence[PlannedStage], options: Mapping[str, Any]) -> int:
    """Cancel the array jobs that hold models of the grid."""
    store, known = dj.Store(options["sessions"]), schedulers()
    ended = cancel(store, survey(store, _calls(stages), known), known)
    for campaign in ended:
        print(f"cancelled {campaign.name}")
    if not ended:
        print("nothing of this is under way")
    return 0


def _followed(store: dj.Store, calls: list[Any], known: Mapping[str, Scheduler]) -> int:
    said = [""]

    def report(statuses: list[PointStatus]) -> None:
        if said[0] != (text := _counts(statuses)):
            said[0] = text
            print(text, file=sys.stderr, flush=True)

    statuses = follow(store, calls, known, report)
    _print_counts(statuses)
    return _explained(statuses, store)


def _explained(statuses: Sequence[PointStatus], store: dj.Store | None = None) -> int:
    """1 if something failed or got lost, with what can be done about it."""
    wrong = [one for one in statuses if one.state in ("failed", "lost")]
    for one in wrong if store is not None else []:
        assert store is not None
        print(f"{one.state}: {described(one.call.point)}{_reason(store, one)}", file=sys.stderr)
    if wrong:
        print("what failed or got lost is submitted again with -retry; -status says why", file=sys.stderr)
    return 1 if wrong else 0


def _print_counts(statuses: Sequence[PointStatus]) -> None:
    print(_counts(statuses))


def _counts(statuses: Sequence[PointStatus]) -> str:
    counts = {state: sum(one.state == state for one in statuses) for state in State}
    always = ("done", "running", "failed", "missing")
    sent = any(one.campaign for one in statuses)
    of_jobs = (State.PENDING, State.SUSPENDED, State.LOST)
    shown = [state for state in State if counts[state] or state in always or (sent and state in of_jobs)]
    return ", ".join(f"{counts[state]} {state}" for state in shown)


def _reason(store: dj.Store, one: PointStatus) -> str:
    reason = one.reason
    if one.state == "failed" and one.call.key is not None:
        reason = (store.read(one.call.name, one.call.key, "failed") or {}).get("error", "")
    return f": {reason}" if reason else ""
