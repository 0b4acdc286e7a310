"""LSF: bsub, bjobs, bkill.

The script goes to standard input of `bsub`, for `bsub file` ignores #BSUB lines silently. Indices start at 1.
An element that ends with status 85 is queued again (`-Q`), keeping its index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datajuicer.clusters.commands import ask
from datajuicer.clusters.endings import from_shell
from datajuicer.clusters.scheduler import PATIENCE, Answer, NoAnswer, Place, Seen, Submission
from datajuicer.clusters.site import Site
from datajuicer.errors import UsageError

QUEUE_AGAIN = 85

LEAST = (10, 1)  # the first version with units of memory in rusage
LAG = 300.0  # seconds; MBD_REFRESH_TIME, how old an answer of bjobs may be, goes up to that

_FORMAT = "jobid jobindex stat exit_code exit_reason user job_name delimiter='|'"  # no widths: nothing is cut
_ALIVE = {
    "PEND": "pending",
    "WAIT": "pending",
    "PROV": "running",
    "RUN": "running",
    "UNKWN": "running",  # the node does not answer for the moment; the job goes on there
    "PSUSP": "suspended",
    "USUSP": "suspended",
    "SSUSP": "suspended",
}
_ENDED = ("DONE", "EXIT", "ZOMBI")
_NONE = re.compile(r"is not found|no (matching |unfinished |such )?job", re.IGNORECASE)


@dataclass(frozen=True)
class Lsf:
    """The LSF of this site."""

    patience: float = PATIENCE
    name: str = "lsf"
    lag: float = LAG

    def check(self) -> None:
        """`bjobs -V`; a version that it does not say is taken as new enough."""
        reply = ask(["bjobs", "-V"], patience=self.patience)
        match = re.search(r"LSF\D*(\d+)\.(\d+)", reply.err + reply.out)
        if match and (int(match[1]), int(match[2])) < LEAST:
            raise UsageError(
                f"this is LSF {match[1]}.{match[2]}; array jobs need {LEAST[0]}.{LEAST[1]} or later. Choose "
                "another -mode, or train on one machine in a job of your own"
            )

    def head(self, name: str, elements: int, site: Site, logs: Path, after: Sequence[str] = ()) -> list[str]:
        """#BSUB lines."""
        at_once = f"%{site.max_running}" if site.max_running else ""
        lines = [
            f'-J "{name}[1-{elements}]{at_once}"',
            f"-W {site.time}",
            f"-n {site.cores}",
            f'-R "span[hosts=1] rusage[mem={site.megabytes}MB]"',
            f'-o "{logs}/%I.txt"',
            f"-wt {site.warning} -wa USR2",
            f'-Q "{QUEUE_AGAIN}"',
        ]
        if after:
            lines.append(f'-w "{" && ".join(f"ended({job})" for job in after)}"')
        if site.login_shell:
            lines.append("-L /bin/bash")
        if site.gpus:
            lines.append(f'-gpu "num={site.gpus}"')
        if site.queue:
            lines.append(f"-q {site.queue}")
        if site.project:
            lines.append(f"-P {site.project}")
        return [f"#BSUB {line}" for line in (*lines, *site.extra)]

    def submit(self, script: str) -> Submission:
        """`bsub < script`."""
        reply = ask(["bsub"], script, self.patience, attempts=1)
        if match := re.search(r"Job <(\d+)> is submitted", reply.out):
            return Submission(job=match[1])
        if reply.status and "not submitted" in reply.err + reply.out:
            return Submission(refused=reply.complaint)
        return Submission(unclear=reply.complaint)

    def find(self, name: str) -> Answer:
        """`bjobs -J name`."""
        return self._bjobs(["-J", name])

    def poll(self, jobs: Sequence[str]) -> Answer:
        """One `bjobs` for all."""
        return self._bjobs(jobs) if jobs else {}

    def _bjobs(self, which: Sequence[str]) -> Answer:
        reply = ask(["bjobs", "-a", "-u", "all", "-noheader", "-o", _FORMAT, *which], patience=self.patience)
        answer = parse_bjobs(reply.out)
        if not answer and reply.status and not _NONE.search(reply.err + reply.out):
            raise NoAnswer(f"bjobs: {reply.complaint}")
        return answer

    def cancel(self, job: str, name: str) -> None:
        """`bkill`, after a look at the name, since LSF gives a number again; ended already is as good."""
        if all(seen.name != name for seen in self._bjobs([job]).values()):
            return
        reply = ask(["bkill", job], patience=self.patience)
        finished = "already finished" in reply.err + reply.out or _NONE.search(reply.err + reply.out)
        if reply.status and not finished:
            raise NoAnswer(f"bkill {job}: {reply.complaint}")

    def place(self, environment: Mapping[str, str]) -> Place | None:
        """From LSB_JOBID and LSB_JOBINDEX."""
        job, index = environment.get("LSB_JOBID", ""), environment.get("LSB_JOBINDEX", "")
        return Place(job, int(index)) if job and index.isdigit() and int(index) > 0 else None

    def queue_again(self, place: Place) -> int:
        """LSF looks at the exit status alone."""
        return QUEUE_AGAIN


def parse_bjobs(text: str) -> dict[tuple[str, int], Seen]:
    """The usable lines of an answer; an element's id may be written 123 or 123[4]."""
    answer = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        match = re.fullmatch(r"(\d+)(?:\[(\d+)\])?", parts[0])
        if match is None or len(parts) < 3:
            continue
        index = match[2] or parts[1]
        if index.isdigit():
            answer[match[1], int(index)] = _seen(*parts[2:7])
    return answer


def _seen(state: str, code: str = "-", reason: str = "-", user: str = "-", name: str = "-") -> Seen:
    ending = from_shell(code)
    signal = f"({ending})" if ending.signal else "-"
    said = " ".join([state, *(word for word in (code, signal, reason) if word != "-")])
    whose, called = ("" if word == "-" else word for word in (user, re.sub(r"\[.*", "", name)))  # name[3]
    if state in _ENDED:
        return Seen("ended", said, called, whose, ending)
    alive = _ALIVE.get(state, "running")  # what we do not know is alive
    return Seen(alive, said, called, whose)  # type: ignore[arg-type]
