"""Folders that appear whole or not at all, however many processes make them and wherever one is killed."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path | None]:
    """An empty folder to fill, which becomes `target` by one rename when the block ends without an exception.

    Several processes may ask for the same target: one fills it, the others wait and then get None. Where the
    file system knows no locks all of them fill a folder of their own, and the first rename wins.

    Raises:
        OSError: the folder above `target` cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target) as alone:
        if target.exists():
            yield None
            return
        prefix = f".{target.name}."
        if alone:  # nobody else is at work here, so these are what killed processes left behind
            for stale in target.parent.glob(f"{prefix}*.partial"):
                shutil.rmtree(stale, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=prefix, suffix=".partial", dir=target.parent))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp's 0700 would shut out the others who share this cache
            try:
                partial.rename(target)
            except OSError:
                if not target.exists():  # otherwise another process was first
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[bool]:
    """Hold the lock that belongs to `target`; yields False where the system has no such locks."""
    with (target.parent / f".{target.name}.lock").open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            held = False
        else:
            held = True
        yield held
