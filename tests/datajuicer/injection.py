"""Let the n-th system call of a run fail, for every n: `python tests/datajuicer/injection.py FOLDER [EVERY]`.

Each case runs in a forked process of its own on a store that holds one result already: that one is computed
again with `force`, then three new ones, each acknowledged when `run` has returned it. What counts as a system
call is every open for writing, write, fsync, rename, link and mkdir. The kinds of faults:

* error: the call raises EIO, or ENOSPC, in turn;
* short: a write takes half of what it is given (only writes);
* lost: the process is killed before the call, and every name that was made, renamed or linked since its
  folder was last synced is lost, as in a power failure (also once after the last acknowledgement);
* kill: the process is killed before the call; a write has written half by then.

After each case nothing acknowledged may be lost, nothing wrong served, and nothing that is recorded computed
again. Prints the number of cases by kind and outcome as JSON.
"""

import errno
import json
import os
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import datajuicer as dj
from datajuicer.store import disk

REAL = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename", "replace", "link", "mkdir")}
NAMES = ("rename", "replace", "link")  # the new name is the second argument
KINDS = ("error", "short", "lost", "kill")
GRID = dj.split([{}], "n", [1, 2, 3])


def cachable(calls, factor):
    """The function of all cases; it notes each call in a file."""

    @dj.cachable(["n"], table_name="f", on_code_change="ignore")
    def f(n, job):
        note(calls, n)
        file = os.open(job.folder / "file.bin", os.O_WRONLY | os.O_CREAT, 0o644)
        REAL["write"](file, bytes([n, factor]))  # what a function's own write loses is its own fault
        os.close(file)
        return {"n": n, "w": np.full(50, n * factor + factor), "file": job.artifact("file.bin")}

    return f


def note(path, n):
    file = REAL["open"](path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    REAL["write"](file, f"{n}\n".encode())
    os.close(file)


def noted(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_whole(value, n, factors):
    """Whether a result is one of those that were computed, in all its parts."""
    return any(
        value["n"] == n
        and (value["w"] == n * factor + factor).all()
        and value["file"].path().read_bytes() == bytes([n, factor])
        for factor in factors
    )


class Fault:
    """Counts calls, and lets one of them fail."""

    def __init__(self, number, kind):
        self.number, self.kind, self.count = number, kind, 0
        self.folder = Path()
        self.unsynced: list[tuple[str, str | None]] = []  # names, and what stood there before

    def install(self):
        for name in REAL:
            setattr(os, name, lambda *args, _name=name, **kwargs: self.call(_name, args, kwargs))

    def call(self, name, args, kwargs):
        real = REAL[name]
        if name == "open" and not args[1] & os.O_CREAT:
            return real(*args, **kwargs)
        self.count += 1
        if self.count != self.number:
            if self.kind == "lost":
                self.remember(name, args)
            return real(*args, **kwargs)
        if self.kind == "error":
            number = (errno.EIO, errno.ENOSPC)[self.number % 2]
            raise OSError(number, os.strerror(number))
        if self.kind in ("short", "kill") and name == "write":
            written = real(args[0], bytes(args[1])[: max(1, len(args[1]) // 2)])
            if self.kind == "short":
                return written
        if self.kind == "lost":
            self.lose_power()
        if self.kind == "kill":
            os._exit(9)
        return real(*args, **kwargs)

    def remember(self, name, args):
        """Note a name that a call makes, or that a sync of its folder makes last."""
        if name == "fsync":
            folder = os.readlink(f"/proc/self/fd/{args[0]}")
            self.unsynced = [one for one in self.unsynced if os.path.dirname(one[0]) != folder]
        elif name != "write":
            target, kept = str(args[name in NAMES]), None
            if os.path.isfile(target):
                kept = f"{target}.kept{self.count}"
                REAL["link"](target, kept)
            if kept is not None or not os.path.exists(target):
                self.unsynced.append((target, kept))

    def lose_power(self):
        """End the process; names that are not on the disk are gone."""
        for target, kept in reversed(self.unsynced):
            if kept is not None:
                REAL["replace"](kept, target)
            elif os.path.isdir(target):
                shutil.rmtree(target)
            elif os.path.exists(target):
                os.unlink(target)
        for path in Path(self.folder).rglob("*.kept*"):
            path.unlink()
        os._exit(9)


def workload(folder, fault):
    """What a case runs; returns the number of calls."""
    f = cachable(folder / "calls", 2)
    fault.folder = folder
    disk._synced.clear()  # folders of earlier cases, whose numbers the file system uses again
    fault.install()
    for mode, points in (("force", [{"n": 0}]), *(("normal", [point]) for point in GRID)):
        try:
            dj.run(points, f, run_mode=mode, cache_dir=folder / "s")("{n}")
            note(folder / "acknowledged", points[0]["n"])
        except (dj.RunError, dj.UsageError, OSError):
            continue
    if fault.kind == "lost":
        fault.lose_power()
    return fault.count


def case(folder, before, number, kind):
    """Run one case; return how it ended and the number of calls that it made."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            warnings.simplefilter("ignore")
            count = workload(folder, Fault(number, kind))
            REAL["write"](write, str(count).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        count = int(answer.read() or 0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return check(folder, status), count


def check(folder, status):
    """Assert that the store keeps its promises after a fault; return what the run itself noticed of it."""
    acknowledged = noted(folder / "acknowledged")
    store = dj.Store(folder / "s")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a quarantined file would warn
        assert not dj.verify(store).quarantined
        recorded = {record["dependencies"]["n"] for record in store.records("f")}
        assert set(acknowledged) | {0} <= recorded, "an acknowledged result was lost"
        f = cachable(folder / "again", 2)
        results = dj.run([{"n": 0}, *GRID], f, cache_dir=folder / "s", run_mode="retry")("{n}")
    for n, value in enumerate(results):
        factors = (1, 2) if n == 0 and 0 not in acknowledged else (2,)
        assert is_whole(value, n, factors), f"a wrong result was served for {n}"
    assert sorted(noted(folder / "again")) == sorted({0, 1, 2, 3} - recorded), "computed again"
    dj.gc(store, dry_run=False, older_than=-1)
    assert not [p for p in store.root.rglob("*") if ".tmp" in p.name or ".claim." in p.name]
    if status == 9:
        return "killed"
    return "unharmed" if sorted(acknowledged) == [0, 1, 2, 3] else "told"


def main(folder, every=1):
    """Run all cases, or each `every`-th; return the counts."""
    before = folder / "before"
    dj.run([{"n": 0}], cachable(folder / "first", 1), cache_dir=before / "s")("{n}")
    ended, total = case(folder / "case", before, 0, "none")
    assert ended == "unharmed"
    assert total > 20
    counts = {kind: Counter() for kind in KINDS}
    for kind in KINDS:
        last = total + 1 + (kind == "lost")
        for number in sorted({*range(1 + KINDS.index(kind) % every, last, every), last - 1}):
            counts[kind][case(folder / "case", before, number, kind)[0]] += 1
    return {"calls": total, **{kind: dict(counts[kind]) for kind in KINDS}}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
