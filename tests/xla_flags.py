"""Prints the flags with which XLA compiles quickest, for tests that compile more than they compute.

The kernels are slower, and rounded in another way than users get them. XLA ends a process for a flag that it
does not know, so those that it may lack are looked up in its library.
"""

import importlib.util
import mmap
from pathlib import Path

LEAST_WORK = "--xla_backend_optimization_level=0"
OLD_EMITTERS = "xla_cpu_use_fusion_emitters"  # false takes a third of the time


def is_known(flag: str) -> bool:
    """Whether the installed XLA has a flag."""
    found = importlib.util.find_spec("jaxlib")
    if found is None or found.origin is None:
        return False
    for library in Path(found.origin).parent.glob("libjax_common.*"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(flag.encode()) >= 0
    return False


if __name__ == "__main__":
    print(LEAST_WORK, *([f"--{OLD_EMITTERS}=false"] if is_known(OLD_EMITTERS) else []))
