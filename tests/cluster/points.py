"""Twenty points, four of which are planted to fail, each in a way of its own. Every start leaves a line."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import datajuicer as dj

RAISES, CRASHES, TAKES_TOO_LONG, IS_KILLED = 3, 7, 11, 15
GRID = dj.split([{}], "n", range(20))


@dj.cachable()
def twenty(n: int) -> int:
    """The square of n, except for the four."""
    with open(os.environ["STARTS"], "a") as starts:
        starts.write(f"{n}\n")
    if n == RAISES:
        raise ValueError("planted")
    if n == CRASHES:
        ctypes.string_at(0)  # a real segmentation fault
    if n == TAKES_TOO_LONG:
        pass_time()
        time.sleep(3600)
    if n == IS_KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def pass_time() -> None:
    """Have the scheduler's clock run ahead, where there is one."""
    if "LSF_STAND_IN" in os.environ and "LSB_JOBID" in os.environ:
        job = Path(os.environ["LSF_STAND_IN"]) / "jobs" / os.environ["LSB_JOBID"]
        (job / f"{os.environ['LSB_JOBINDEX']}.overtime").touch()
    elif "SLURM_JOB_ID" in os.environ:
        subprocess.run(
            ["scontrol", "update", f"JobId={os.environ['SLURM_JOB_ID']}", "TimeLimit=1"], check=True
        )


@dj.cachable()
def counting(n: int, until: int, job: dj.Job) -> list[int]:
    """Counts, and can be asked to stop: what it has counted lies in a checkpoint."""
    with open(os.environ["STARTS"], "a") as starts:
        starts.write(f"{n}\n")
    checkpoint = job.folder / "counted"
    reached = int(checkpoint.read_text()) if checkpoint.exists() else 0
    first = reached
    while reached < until:
        reached += 1
        job.progress(reached, until)
        time.sleep(0.02)
        if job.stop_requested():
            checkpoint.write_text(str(reached))
            raise dj.Interrupted("a checkpoint is written")
    return [first, reached]


@dj.cachable()
def stubborn(n: int, job: dj.Job) -> int:
    """Stops when asked to, but never comes any further than step 1."""
    with open(os.environ["STARTS"], "a") as starts:
        starts.write(f"{n}\n")
    job.progress(1, 10)
    while not job.stop_requested():
        time.sleep(0.02)
    raise dj.Interrupted("nothing was reached")


@dj.cachable()
def doubled(model: dict[str, int]) -> int:
    """Twice the result of its parent, a point of `twenty`."""
    return 2 * model["twenty"]


def _together(n: list[int]) -> list[int | Exception]:
    with open(os.environ["STARTS"], "a") as starts:
        starts.write("".join(f"{each}\n" for each in n))
    return [ValueError("planted") if each == 2 else each for each in n]


@dj.cachable(batched=_together)
def together(n: int) -> int:
    """Computed with others in one call."""
    (result,) = _together([n])
    if isinstance(result, Exception):
        raise result
    return result


@dj.cachable(checker=lambda folder: (folder / "good").exists())
def checked(n: int, job: dj.Job) -> int:
    """Its result stands as long as its file does."""
    with open(os.environ["STARTS"], "a") as starts:
        starts.write(f"{n}\n")
    (job.folder / "good").touch()
    return n
