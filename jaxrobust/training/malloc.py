"""Keep freed memory in the process, as training asks for the same buffers at every step.

By default glibc gives large buffers back to the operating system as soon as they are freed, so that every
call of a compiled program fetches and clears the same pages again (docs/performance.md counts them). Programs
of long blocks of steps suffer less than single calls.
"""

import ctypes
import os
import sys

SWITCH = "JAXROBUST_KEEP_MEMORY"

# The numbers of the options in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory, for the whole process; to be called before JAX's first computation.

    JAX's threads, once started, keep giving back what does not fit their arenas of 64 MiB.
    Does nothing where the C library is another one, and where the environment says
    ``JAXROBUST_KEEP_MEMORY=0``.

    Returns:
        Whether the memory is kept.
    """
    is_glibc = sys.platform == "linux" and "CS_GNU_LIBC_VERSION" in os.confstr_names
    if not is_glibc or os.environ.get(SWITCH) == "0":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Before version 2.35, glibc takes no threshold above 32 MiB.
    threshold = mallopt(_M_MMAP_THRESHOLD, 1 << 30) or mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    # A thread's own arena cannot hold more than 64 MiB, whatever the thresholds are: one for all threads.
    arenas = mallopt(_M_ARENA_MAX, 1)
    trim = mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    padding = mallopt(_M_TOP_PAD, 256 << 20)
    return bool(threshold and arenas and trim and padding)
