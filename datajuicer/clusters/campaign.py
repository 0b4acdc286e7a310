"""A campaign: one array job and everything it needs, in a folder of the store.

::

    sessions/campaigns/<name>/plan.json         elements and their points, site settings, code and versions
    sessions/campaigns/<name>/tasks             what the elements compute, pickled, one chunk per element
    sessions/campaigns/<name>/script.sh         what was sent to the scheduler
    sessions/campaigns/<name>/code/             the packages that it runs, if a snapshot was asked for
    sessions/campaigns/<name>/job.json          the scheduler's id, as soon as it is known
    sessions/campaigns/<name>/cancelled         exists if it was cancelled
    sessions/campaigns/<name>/elements/<i>.json what the element did last
    sessions/campaigns/<name>/logs/<i>.txt      what it wrote

The folder appears in one step. It says what was asked for; what came out of it is in the store alone. Tasks
are unpickled only if plan and tasks have the digests that the scheduler's own copy of the script names.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from datajuicer.clusters.made_with import MadeWith, packages_of
from datajuicer.clusters.site import Site
from datajuicer.clusters.snapshot import CODE, copy_packages
from datajuicer.errors import UsageError
from datajuicer.running.plan import Call
from datajuicer.store.disk import cannot_write, sync_folder, unique, write_file
from datajuicer.store.listing import CAMPAIGNS
from datajuicer.store.store import Store

FORMAT = 2
PLAN, TASKS, SCRIPT, JOB, CANCELLED = "plan.json", "tasks", "script.sh", "job.json", "cancelled"


@dataclass(frozen=True)
class Element:
    """One element of the array: its points (function and key) and where its chunk of `tasks` lies."""

    points: tuple[tuple[str, str], ...]
    start: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Campaign:
    """The plan of an array job. Element i (from 1) is `elements[i - 1]`."""

    name: str
    number: int  # a later campaign of a store has a higher one
    scheduler: str
    created: float
    retry: bool
    made_with: MadeWith
    path: tuple[str, ...]  # sys.path, for what the tasks import
    main: str  # the name of the __main__ of the plan
    site: Site
    elements: tuple[Element, ...]
    snapshot: bool = False  # whether its folder holds the code that it runs
    user: str = ""  # who submitted it; empty: a plan from before this was written down
    below: tuple[str, ...] = ()  # the stores that lie below the one in which its folder is

    def to_bytes(self) -> bytes:
        """The content of plan.json."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Campaign:
        """Read plan.json."""
        content: dict[str, Any] = json.loads(data)
        if content.pop("format") > FORMAT:
            raise UsageError("a campaign was written by a newer datajuicer: update this one")
        site: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in content.pop("site").items()
        }
        elements = tuple(
            Element(tuple((f, k) for f, k in e["points"]), e["start"], e["size"], e["sha256"])
            for e in content.pop("elements")
        )
        content["path"] = tuple(content["path"])
        content["below"] = tuple(content.get("below", ()))
        return cls(**content, site=Site(**site), elements=elements)


@dataclass(frozen=True)
class Chunk:
    """What one element computes: calls in steps, each of which needs results of those before."""

    calls: tuple[Call, ...]
    steps: tuple[int, ...] = ()  # by call; empty: one step

    def places(self) -> list[list[int]]:
        """The places of the calls, by step."""
        steps = self.steps or (0,) * len(self.calls)
        return [[i for i, step in enumerate(steps) if step == one] for one in sorted(set(steps))]


@dataclass(frozen=True)
class Trace:
    """What an element left behind: where it ran, how often, and a sentence for each point without result."""

    job: str
    host: str
    starts: int = 0
    steps: int | None = (
        None  # how far its training had come when its wall time ended last; None: it never did
    )
    notes: dict[str, str] | None = None  # by key; "" is for all


def pickle_chunks(chunks: Sequence[Chunk]) -> tuple[bytes, tuple[Element, ...]]:
    """Return the content of `tasks`, and the elements that point into it."""
    import cloudpickle

    data, elements = bytearray(), []
    for chunk in chunks:
        pickled = cloudpickle.dumps(chunk)
        points = tuple((call.name, call.id) for call in chunk.calls)
        elements.append(Element(points, len(data), len(pickled), sha256(pickled).hexdigest()))
        data += pickled
    return bytes(data), tuple(elements)


def folder(store: Store, name: str) -> Path:
    """Where a campaign lies."""
    return store.root.absolute() / CAMPAIGNS / name


def write(store: Store, campaign: Campaign, tasks: bytes, script: str) -> None:
    """Make a campaign's folder appear, whole, with the code that it runs if it is to have a snapshot."""
    name, plan = campaign.name, campaign.to_bytes()
    target = folder(store, name)
    temporary = target.with_name(f"{name}.{unique()}.tmp")
    try:
        for sub in ("elements", "logs"):
            (temporary / sub).mkdir(parents=True)
        for file, data in ((PLAN, plan), (TASKS, tasks), (SCRIPT, script.encode())):
            write_file(temporary / file, data)
        if campaign.snapshot:
            copy_packages(packages_of(campaign.made_with), temporary / CODE)
        sync_folder(temporary)
        os.rename(temporary, target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot_write(target, len(plan) + len(tasks), error) from error
    sync_folder(target.parent)


def read_all(store: Store) -> list[Campaign]:
    """All campaigns of a store, in the order in which they were made."""
    plans = sorted((store.root / CAMPAIGNS).glob(f"*/{PLAN}"))
    found = [_campaign(path) for path in plans if not path.parent.name.endswith(".tmp")]
    return sorted(found, key=lambda campaign: campaign.number)


def _campaign(path: Path) -> Campaign:
    try:
        return Campaign.from_bytes(path.read_bytes())
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}): move its folder out of the way; its points are missing then"
        ) from error


def read_plan(place: Path, digest: str) -> Campaign:
    """The plan in a folder, if it is the one that was sent.

    Raises:
        UsageError: it is not.
    """
    data = (place / PLAN).read_bytes()
    if sha256(data).hexdigest() != digest:
        raise UsageError(f"{place / PLAN} is not the plan that was submitted; submit again with -retry")
    return Campaign.from_bytes(data)


def read_chunk(place: Path, element: Element) -> Chunk:
    """What an element computes, unpickled only if it is what was planned.

    Raises:
        UsageError: it is not.
    """
    with (place / TASKS).open("rb") as file:
        file.seek(element.start)
        data = file.read(element.size)
    if sha256(data).hexdigest() != element.sha256:
        raise UsageError(f"{place / TASKS} is not what was submitted; submit again with -retry")
    return pickle.loads(data)


def discard(store: Store, name: str) -> None:
    """Take a campaign back that never reached the scheduler.

    Should its submission be on the way after all, its elements find no plan and end at once.
    """
    place = folder(store, name)
    gone = place.with_name(f"{name}.{unique()}.tmp")
    os.rename(place, gone)
    shutil.rmtree(gone, ignore_errors=True)


def cancel_mark(store: Store, name: str) -> Path:
    """The file that says that a campaign was cancelled."""
    return folder(store, name) / CANCELLED


def set_job(store: Store, name: str, job: str) -> None:
    """Write down the scheduler's id."""
    _replace(folder(store, name) / JOB, {"job": job})


def known_job(store: Store, campaign: Campaign) -> str:
    """The scheduler's id as far as the folder knows it: from the submission, or from an element that ran."""
    written = [folder(store, campaign.name) / JOB]
    traces = sorted((folder(store, campaign.name) / "elements").glob("*.json"))
    return next(filter(None, (str(_read(path).get("job", "")) for path in [*written, *traces])), "")


def read_trace(place: Path, index: int) -> Trace | None:
    """What an element left behind last."""
    content = _read(place / "elements" / f"{index}.json")
    try:
        return Trace(**content) if content else None
    except TypeError:  # damaged
        return None


def log_of(place: Path, index: int) -> Path:
    """The file to which the scheduler writes what an element says."""
    return place / "logs" / f"{index}.txt"


def end_of_log(place: Path, index: int) -> str:
    """Return where an element's log is and its last line, in words; empty if it wrote none."""
    path = log_of(place, index)
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 1000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    last = next((line for line in reversed(lines) if line), "")
    return f"its log {path}" + (f" ends with: {last[-200:]}" if last else " is empty")


def write_trace(place: Path, index: int, trace: Trace) -> None:
    """Leave something behind."""
    _replace(place / "elements" / f"{index}.json", asdict(trace))


def _replace(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{unique()}.tmp")
    try:
        write_file(temporary, json.dumps(content).encode())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, None, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
