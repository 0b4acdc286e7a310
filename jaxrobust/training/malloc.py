"""Keep freed memory in the process, as training asks for the same buffers at every step.

By default glibc gives large buffers back to the operating system as soon as they are freed, so that every
call of a compiled program fetches and clears the same pages again (docs/performance.md counts them).

A thread other than the first has an arena of at most 64 MiB, and what does not fit is given back whatever the
thresholds are. So programs must take their memory in the calling thread, which they do where JAX does not
dispatch them asynchronously. One arena for all threads would keep the memory too, but they would wait for it.
What XLA's libraries take for themselves in other threads, beyond that size, is still given back.
"""

import ctypes
import os
import sys

import jax

SWITCH = "JAXROBUST_KEEP_MEMORY"

# The numbers of the options in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory, for the whole process; to be called before JAX's first computation.

    Calls of programs on a CPU return when the result is there: ``jax_cpu_enable_async_dispatch`` is off.
    Does nothing where the C library is another one, and where the environment says
    ``JAXROBUST_KEEP_MEMORY=0``.

    Returns:
        Whether the memory is kept.
    """
    if not _is_glibc() or os.environ.get(SWITCH) == "0":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Before version 2.35, glibc takes no threshold above 32 MiB.
    threshold = mallopt(_M_MMAP_THRESHOLD, 1 << 30) or mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    trim = mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    padding = mallopt(_M_TOP_PAD, 256 << 20)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return bool(threshold and trim and padding)


def return_freed_memory() -> None:
    """Give back what is free now; what is freed later is kept as before.

    After compiling: a compiler takes hundreds of MiB that no program would use again.
    """
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return sys.platform == "linux" and "CS_GNU_LIBC_VERSION" in os.confstr_names
