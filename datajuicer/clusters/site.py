"""Site settings: what a job asks of the cluster, read from one TOML file and checked before anything is sent.

::

    time = "24:00"          # everything above the first table is the default profile
    cores = 16

    [gpu]                   # -profile=gpu: the default profile with these changes
    gpus = 1
    queue = "gpu.24h"
"""

from __future__ import annotations

import difflib
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from datajuicer.clusters.endings import NOT_SET_UP
from datajuicer.errors import UsageError

FILE = "launch_settings.toml"

_MEMORY = re.compile(r"([1-9]\d*) ?([MGT])B?", re.IGNORECASE)
_MEGABYTES = {"M": 1, "G": 1024, "T": 1024 * 1024}
_TIME = re.compile(r"(\d+):([0-5]\d)")
_DAYS = re.compile(r"(\d+)-(\d{1,2})(?::([0-5]\d)(?::00)?)?")
_KINDS = {bool: "true or false", int: "a whole number", str: "text in quotation marks"}
_LONGEST_WARNING = 1092  # minutes: SLURM takes 65,535 seconds
_WORD = re.compile(r"[A-Za-z0-9_.,:@/+\-]*")


@dataclass(frozen=True)
class Site:
    """What each job asks for; the defaults are the published `bsub -W 24:00 -n 16 -R "rusage[mem=4096]"`.

    Attributes:
        time: wall time, hours and minutes: `H:MM`.
        warning: how long before the end of the wall time a training is asked for its checkpoint: `H:MM`.
        cores: processor cores, all on one machine.
        memory: for each core, with its unit: `4096MB`, `4GB`.
        gpus: how many.
        queue: queue (LSF) or partition (SLURM); empty: the site's default.
        project: project (LSF) or account (SLURM) that pays; empty: the site's default.
        max_running: elements of one array that run at a time; 0: as many as the site lets.
        array_limit: elements of one array; more points become several arrays.
        extra: further options of bsub or sbatch, one a line.
        set_up: commands that each job runs first, such as `module load`; one that fails ends the job.
        login_shell: run them in a login shell, which reads /etc/profile, where some sites define `module`.
    """

    time: str = "24:00"
    warning: str = "0:10"
    cores: int = 16
    memory: str = "4096MB"
    gpus: int = 0
    queue: str = ""
    project: str = ""
    max_running: int = 0
    array_limit: int = 1000
    extra: tuple[str, ...] = ()
    set_up: tuple[str, ...] = ()
    login_shell: bool = False

    def set_up_commands(self) -> list[str]:
        """Return the commands of set_up; one may take several lines.

        Raises:
            UsageError: the last one is not complete.
        """
        commands: list[str] = []
        waiting: list[str] = []
        for line in self.set_up:
            waiting.append(line)
            if _is_complete("\n".join(waiting)):
                commands.append("\n".join(waiting))
                waiting = []
        if waiting:
            raise UsageError(f"set_up = {waiting[0]!r} is no complete command of bash; look for what is open")
        return commands

    @property
    def megabytes(self) -> int:
        """Memory of each core in MB."""
        match = _MEMORY.fullmatch(self.memory)
        assert match is not None
        return int(match[1]) * _MEGABYTES[match[2].upper()]


def minutes(time: str) -> int:
    """The minutes of `H:MM`."""
    hours, rest = time.split(":")
    return 60 * int(hours) + int(rest)


def _in_hours(time: str) -> str:
    """Return `H:MM` for a time with days (`D-HH`, `D-HH:MM`, `D-HH:MM:00`, as in SLURM); else the text."""
    match = _DAYS.fullmatch(time)
    return f"{24 * int(match[1]) + int(match[2])}:{match[3] or '00'}" if match else time


def _is_complete(command: str) -> bool:
    """Whether bash takes some lines as a whole; one without bash takes each line so."""
    try:
        done = subprocess.run(
            ["bash", "-n"], input=f"{{\n{command}\n}}", capture_output=True, text=True, check=False
        )
    except OSError:
        return True
    return not done.returncode and not done.stderr


def read_site(file: Path | None = None, profile: str = "", changes: Mapping[str, Any] | None = None) -> Site:
    """The site settings: the file's default profile, over it a named one, over that what was typed.

    Args:
        file: the settings file; None: `launch_settings.toml` in this folder, if there is one.
        profile: a table of the file.
        changes: settings by name; None leaves one as it is.

    Raises:
        UsageError: a file, profile or setting is wrong; says which and how to fix it.
    """
    path = Path(FILE) if file is None else file
    content: dict[str, Any] = {}
    if file is not None or path.is_file():
        content = _read(path)
    profiles = {name: table for name, table in content.items() if isinstance(table, dict)}
    chosen = {name: value for name, value in content.items() if name not in profiles}
    if profile:
        if profile not in profiles:
            raise UsageError(
                f"{path} has no profile {profile!r}; {_instead(profile, profiles, 'it has', 'it has none')}"
            )
        chosen |= profiles[profile]
    typed = {name: value for name, value in (changes or {}).items() if value is not None}
    site = _changed(Site(), chosen, str(path))
    return _checked(_changed(site, typed, "the command line"), f"{path} or the command line")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"the site settings {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the site settings {path} are not TOML: {error}") from error


def _changed(site: Site, changes: Mapping[str, Any], where: str) -> Site:
    known = {field.name for field in fields(Site)}
    ready: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise UsageError(f"{where}: there is no site setting {name!r}; {_instead(name, known)}")
        default = getattr(Site(), name)
        if isinstance(default, tuple):
            if not isinstance(value, list | tuple) or not all(isinstance(line, str) for line in value):
                raise UsageError(f'{where}: {name} = {value!r} must be a list of lines, such as ["…"]')
            ready[name] = tuple(value)
            continue
        if type(value) is not type(default):
            kind = _KINDS[type(default)]
            raise UsageError(f"{where}: {name} = {value!r} must be {kind}, such as {default!r}")
        ready[name] = _in_hours(value) if name in ("time", "warning") else value
    return replace(site, **ready)


def _instead(name: str, known: Iterable[str], there: str = "there are", none: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    listed = ", ".join(sorted(known))
    return f"did you mean {close[0]!r}?" if close else f"{there} {listed}" if listed else none


def _check_times(site: Site, where: str) -> None:
    for name in ("time", "warning"):
        if not _TIME.fullmatch(getattr(site, name)):
            raise UsageError(
                f'{where}: {name} = {getattr(site, name)!r} must be H:MM, such as "24:00", or D-HH:MM'
            )
    if not 0 < minutes(site.warning) < minutes(site.time):
        raise UsageError(
            f"{where}: warning = {site.warning!r} must be longer than 0:00 and shorter than time = "
            f"{site.time!r}, or there is no time to write a checkpoint"
        )
    if minutes(site.warning) > _LONGEST_WARNING:
        raise UsageError(f"{where}: warning = {site.warning!r} must be at most 18:12, which schedulers take")


def _checked(site: Site, where: str) -> Site:
    _check_times(site, where)
    if not _MEMORY.fullmatch(site.memory):
        raise UsageError(f'{where}: memory = {site.memory!r} needs a unit, such as "4096MB" or "4GB"')
    for name, least in (("cores", 1), ("array_limit", 1), ("gpus", 0), ("max_running", 0)):
        if getattr(site, name) < least:
            raise UsageError(f"{where}: {name} = {getattr(site, name)} must be at least {least}")
    for name in ("queue", "project"):
        if not _WORD.fullmatch(getattr(site, name)):
            raise UsageError(f"{where}: {name} = {getattr(site, name)!r} must be one word")
    for line in (*site.extra, *site.set_up):
        if "\n" in line:
            raise UsageError(f"{where}: {line!r} holds a line break; make it two lines")
    for line in site.extra:
        if not line.startswith("-"):
            raise UsageError(f"{where}: extra = {line!r} must be an option, such as '--exclusive'")
    try:
        site.set_up_commands()
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return site


def checked_set_up(site: Site) -> list[str]:
    """Return the lines of set_up; a command that fails ends the job, which may run on CPUs otherwise."""
    lines: list[str] = []
    for command in site.set_up_commands():
        said = f'"$(hostname): this command of set_up failed:" {shlex.quote(command)}'
        lines += ["{", f"    {command}", f"}} || {{ echo {said} >&2; exit {NOT_SET_UP}; }}"]
    return lines
