"""The words of train.py about -mode: array jobs on LSF or SLURM, Dask, and site settings of jobs."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from datajuicer.clusters.site import FILE, Site, read_site
from jaxrobust.cli.words import Option
from jaxrobust.errors import InputError
from jaxrobust.settings import from_text, no_such

MODES = {
    "local": "worker processes of this machine",
    "bsub": "one array job on LSF",
    "slurm": "one array job on SLURM",
    "dask": "Dask workers, for what is short",
}
ARRAYS = {"bsub": "lsf", "slurm": "slurm"}
DASK_CLUSTERS = ("local", "lsf", "slurm")

_SITE = {
    "time": "wall time of a job, H:MM or D-HH:MM",
    "warning": "how long before its end a training is asked for its checkpoint, H:MM",
    "cores": "processor cores of a job",
    "memory": "memory for each core, with a unit: 4096MB",
    "gpus": "GPUs of a job",
    "queue": "queue (LSF) or partition (SLURM)",
    "project": "project (LSF) or account (SLURM) that pays",
    "max_running": "elements that run at a time; 0: as many as the site lets",
    "array_limit": "elements of one array",
    "extra": "a further option of bsub or sbatch",
    "set_up": "a command that each job runs first; if it fails, the job ends",
    "login_shell": "true: run set_up in a login shell",
}
_ARRAY_WORDS = ("wait", "print_script", "snapshot")
_FILE_WORDS = ("launch_settings", "profile")

OPTIONS = {
    "mode": Option("local", "; ".join(f"{name}: {what}" for name, what in MODES.items())),
    "wait": Option(False, "follow the array job until it is through"),
    "cancel": Option(False, "end the array jobs that hold these models"),
    "snapshot": Option(False, "run a copy of the code as it is now, whatever is edited while jobs wait"),
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
        raise InputError(no_such("-mode", mode, MODES))
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
