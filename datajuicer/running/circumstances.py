"""Circumstances of a run, as its records name them: versions of packages, platform, job, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "jax", "jaxlib", "flax", "optax", "torch", "scipy")


def circumstances() -> dict[str, Any]:
    """Return what a record says of the circumstances; asked for once per run."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {"python": platform.python_version()}
    for name in PACKAGES:
        if name in sys.modules:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
    facts: dict[str, Any] = {"packages": packages, "platform": platform.platform()}
    for variable in ("LSB_JOBID", "LSB_JOBINDEX", "SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        if variable in os.environ:
            facts.setdefault("job", {})[variable] = os.environ[variable]
    return facts | _git(str(Path.cwd()), int(time.monotonic() // 60))


@lru_cache(maxsize=1)
def _git(folder: str, minute: int) -> dict[str, Any]:
    """The commit of a folder; asked once a minute, for many short runs in a row."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", "--no-optional-locks", *words],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            cwd=folder,
        )
        return done.stdout.strip()

    try:
        changed = ask("status", "--porcelain", "--untracked-files=no")
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return {}
