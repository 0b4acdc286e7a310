"""The commands of a scheduler: the environment they run in, and what they answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datajuicer.clusters.scheduler import PATIENCE, NoAnswer
from datajuicer.errors import UsageError

# Variables of these beginnings are options that a command takes without being given them (SQUEUE_PARTITION
# hides jobs, SBATCH_TIMELIMIT shortens them, BSUB_QUIET silences the answer), or describe the job in which it
# is typed. What a job asks for is said by the site settings alone.
_OF_SLURM = ("SQUEUE_", "SBATCH_", "SCANCEL_", "SCONTROL_", "SALLOC_", "SRUN_", "SLURM_")
_OF_LSF = ("BSUB_", "LSB_", "LS_")
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS"})  # which cluster it is


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that change what a scheduler's commands do."""
    changing = (*_OF_SLURM, *_OF_LSF)
    return {n: value for n, value in environment.items() if n in _KEPT or not n.startswith(changing)}


@dataclass(frozen=True)
class Reply:
    """What a command wrote, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What it complained about, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return " ".join(lines)[:300] or f"it ended with status {self.status} and said nothing"


def ask(words: Sequence[str], text: str = "", patience: float = PATIENCE, attempts: int = 2) -> Reply:
    """Run a scheduler's command; one that hangs is given up and asked again.

    Raises:
        UsageError: there is no such command here.
        NoAnswer: it hung each time.
    """
    for _ in range(attempts):
        try:
            done = subprocess.run(
                words,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patience,
                check=False,
                env=plain_environment(os.environ),
            )
        except FileNotFoundError:
            raise UsageError(
                f"there is no {words[0]} on PATH: type this on a login node of the cluster, or choose "
                "another -mode"
            ) from None
        except PermissionError as error:
            raise UsageError(f"{words[0]} cannot be run: {error}") from None
        except subprocess.TimeoutExpired:
            continue
        return Reply(done.returncode, done.stdout, done.stderr)
    raise NoAnswer(f"{words[0]} gave no answer within {patience:g} s; give the same command again later")
