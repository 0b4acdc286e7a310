"""SLURM: sbatch, squeue, scontrol, scancel. Accounting (sacct) is not needed.

An element is queued again by `<array id>_<index>`: the last element's own id is that of the whole array, and
naming that would queue all of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datajuicer.clusters.commands import ask
from datajuicer.clusters.endings import from_slurm
from datajuicer.clusters.scheduler import PATIENCE, Answer, NoAnswer, Place, Seen, Submission
from datajuicer.clusters.site import Site, minutes

_FORMAT = "ArrayJobID:20,ArrayTaskID:20,State:20,exit_code:20,UserName:40,Name:100,Reason:60"
_PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_SUSPENDED = ("SUSPENDED", "STOPPED")
_ENDED = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
)


@dataclass(frozen=True)
class Slurm:
    """The SLURM of this site."""

    patience: float = PATIENCE
    name: str = "slurm"
    lag: float = 0.0

    def check(self) -> None:
        """Any version in use will do."""

    def head(self, name: str, elements: int, site: Site, logs: Path, after: Sequence[str] = ()) -> list[str]:
        """#SBATCH lines."""
        at_once = f"%{site.max_running}" if site.max_running else ""
        lines = [
            f"--job-name={name}",
            f"--array=1-{elements}{at_once}",
            f"--time={site.time}:00",
            "--nodes=1 --ntasks=1",
            f"--cpus-per-task={site.cores}",
            f"--mem-per-cpu={site.megabytes}M",
            f'--output="{logs}/%a.txt"',
            "--open-mode=append",
            "--requeue",
            f"--signal=B:USR1@{60 * minutes(site.warning)}",
        ]
        if after:
            lines.append(f"--dependency=afterany:{':'.join(after)}")
        if site.gpus:
            lines.append(f"--gpus={site.gpus}")
        if site.queue:
            lines.append(f"--partition={site.queue}")
        if site.project:
            lines.append(f"--account={site.project}")
        return [f"#SBATCH {line}" for line in (*lines, *site.extra)]

    def submit(self, script: str) -> Submission:
        """`sbatch --parsable < script`."""
        reply = ask(["sbatch", "--parsable"], script, self.patience, attempts=1)
        if match := re.search(r"^(\d+)(;\S+)?$", reply.out.strip(), re.MULTILINE):
            return Submission(job=match[1])
        if reply.status and not re.search(r"timed out|Unable to contact", reply.err):
            return Submission(refused=reply.complaint)
        return Submission(unclear=reply.complaint)

    def find(self, name: str) -> Answer:
        """`squeue --name`."""
        return self._squeue(f"--name={name}")

    def poll(self, jobs: Sequence[str]) -> Answer:
        """One `squeue` for all."""
        return self._squeue(f"--jobs={','.join(jobs)}") if jobs else {}

    def _squeue(self, which: str) -> Answer:
        words = ["squeue", "--noheader", "--array", "--states=all", f"--Format={_FORMAT}", which]
        reply = ask(words, patience=self.patience)
        answer = parse_squeue(reply.out)
        # SLURM forgets ended jobs after minutes, and calls a forgotten id invalid.
        if not answer and reply.status and "Invalid job id" not in reply.err:
            raise NoAnswer(f"squeue: {reply.complaint}")
        return answer

    def cancel(self, job: str, name: str) -> None:
        """`scancel` by id and name; that everything has ended already is as good."""
        reply = ask(["scancel", "--quiet", f"--name={name}", job], patience=self.patience)
        if reply.status and "Invalid job id" not in reply.err:
            raise NoAnswer(f"scancel {job}: {reply.complaint}")

    def place(self, environment: Mapping[str, str]) -> Place | None:
        """From SLURM_ARRAY_JOB_ID and SLURM_ARRAY_TASK_ID."""
        job, index = environment.get("SLURM_ARRAY_JOB_ID", ""), environment.get("SLURM_ARRAY_TASK_ID", "")
        return Place(job, int(index)) if job and index.isdigit() else None

    def queue_again(self, place: Place) -> int:
        """`scontrol requeue`; SLURM then ends this process."""
        reply = ask(["scontrol", "requeue", f"{place.job}_{place.index}"], patience=self.patience)
        if reply.status:
            raise NoAnswer(f"scontrol requeue {place.job}_{place.index}: {reply.complaint}")
        time.sleep(60)  # to be ended here, so that our own exit cannot overtake the request
        return 0


def parse_squeue(text: str) -> dict[tuple[str, int], Seen]:
    """The usable lines of an answer."""
    answer = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) >= 3 and parts[0].isdigit() and parts[1].isdigit():
            answer[parts[0], int(parts[1])] = _seen(parts[2], *parts[3:])
    return answer


def _seen(state: str, code: str = "0:0", user: str = "", name: str = "", *reason: str) -> Seen:
    ending = from_slurm(code)
    said = " ".join([state, *filter(None, [str(ending)]), *(word for word in reason if word != "None")])
    if state in _ENDED:
        return Seen("ended", said, name, user, ending)
    if state in _SUSPENDED:
        return Seen("suspended", said, name, user)
    # what we do not know is alive
    return Seen("pending" if state in _PENDING else "running", said, name, user)
