"""Refusals: which site setting stands behind what a scheduler says when it takes no job."""

from __future__ import annotations

import re

# What LSF and SLURM say → the settings that it is about, and where the site's own limit is shown.
_SAYINGS: tuple[tuple[str, str], ...] = (
    (
        r"array (specification|index too large)|MaxArraySize|MAX_JOB_ARRAY_SIZE",
        "array_limit, the elements of one array; the site's own limit is MaxArraySize in `scontrol show "
        "config` or MAX_JOB_ARRAY_SIZE in `bparams -a`",
    ),
    (r"--signal|warning (time|action)", "warning"),
    (r"time limit|RUNLIMIT|run limit|QOSMaxWallDurationPerJobLimit|-W\b", "time"),
    (r"memory|MEMLIMIT|rusage", "memory"),
    (r"processor|CPU count|PROCLIMIT|TASKLIMIT|slots", "cores"),
    (r"account/partition", "project or queue"),
    (r"partition|no such queue|cannot use the queue|\bqueue\b", "queue"),
    (r"account|project", "project"),
    (r"gres|gpu", "gpus"),
    (r"node configuration|resource requirement|QOS|violates", "cores, memory, gpus, time or extra"),
    (r"(unrecognized|illegal|invalid|unknown|bad) option|feature|constraint", "extra"),
)


def setting_behind(said: str) -> str:
    """Return a sentence that names the setting to change; empty if the words are not known.

    Example:
        >>> setting_behind("sbatch: error: Requested time limit is invalid (missing or exceeds some limit)")
        'the setting behind it is time (typed, or in launch_settings.toml)'
    """
    for pattern, setting in _SAYINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return f"the setting behind it is {setting} (typed, or in launch_settings.toml)"
    return ""
