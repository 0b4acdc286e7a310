"""What the engine costs, beside joblib.Memory and diskcache in the same run: `python benchmarks/engine.py`.

Times are medians (90 %, 99 %) of many calls on the machine it runs on, with warm file caches; only the rows
of one run may be compared. `--quick` takes a tenth of the sizes. What cannot be timed (kill -9, a full disk,
a flipped bit) is a test: tests/datajuicer/test_faults.py and test_store.py.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import datajuicer as dj

try:
    import diskcache
    import joblib
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed: pip install 'jaxrobust[benchmark]' installs it.")
from datajuicer.keys import digest
from datajuicer.store import values
from datajuicer.store.record import format_record
from datajuicer.store.store import Store

SETTINGS = {
    "learning_rate": 0.001,
    "beta": 0.25,
    "attack_size": 0.1,
    "steps": 10,
    "net": "ecg_lsnn",
    "awp": False,
    "boundary": "kl",
    "epochs": "150,50",
    "hidden": 256,
    "noise": 0.3,
    "shape": [1, 28, 28],
}  # and the seed: twelve keys


@dj.cachable(on_code_change="ignore")
def accuracy(model: dict[str, Any]) -> dict[str, Any]:
    return {"mean": 0.93, "std": 0.01, "min": 0.9}


def plain_accuracy(model: dict[str, Any]) -> dict[str, Any]:
    return {"mean": 0.93, "std": 0.01, "min": 0.9}


def points(count: int) -> list[dict[str, Any]]:
    return dj.split([SETTINGS], "seed", range(count))


def fill(root: Path, grid: Sequence[dict[str, Any]]) -> None:
    """Write the records that `run` would write, without waiting for the disk after each."""
    store = Store(root)
    for point in grid:
        key = accuracy.key(accuracy.dependency_values({"model": point}))
        record = {
            "format": 1,
            "function": "accuracy",
            "version": None,
            "key": key,
            "outcome": "done",
            "dependencies": {"model": values.describe(point)},
            "context": {},
            "notes": {},
            "started": "2026-01-01T00:00:00.000+00:00",
            "seconds": 1.0,
            "host": "benchmark",
            "pid": 1,
            "packages": {"python": "3.11.0", "numpy": "2.0.0"},
            "platform": "Linux",
            "code": "0" * 20,
            "value": {"mean": 0.93, "std": 0.01, "min": 0.9},
        }
        path = store.path("accuracy", key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(format_record(record))


def each(function: Callable[[Any], Any], arguments: Sequence[Any]) -> str:
    """Median, 90 % and 99 % of single calls, in microseconds."""
    times = []
    for argument in arguments:
        start = time.perf_counter()
        function(argument)
        times.append(1e6 * (time.perf_counter() - start))
    cuts = statistics.quantiles(times, n=100)
    return f"{cuts[49]:.0f} µs ({cuts[89]:.0f}, {cuts[98]:.0f})"


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def both(function: Callable[[], Any]) -> str:
    """Seconds on the clock, and of the processor: on a machine that others use too, the latter tells more."""
    cpu, start = time.process_time(), time.perf_counter()
    function()
    return f"{time.perf_counter() - start:.1f} s (processor {time.process_time() - cpu:.1f} s)"


def cached_calls(root: Path, count: int) -> list[list[str]]:
    grid = points(count)
    fill(root / "ours", grid)
    ours = each(dj.cached(accuracy, root / "ours"), grid)
    amortised = min(seconds(lambda: dj.run(grid, accuracy, cache_dir=root / "ours")("{*}")) for _ in range(3))
    memory = joblib.Memory(root / "joblib", verbose=0).cache(plain_accuracy)
    cache = diskcache.Cache(str(root / "diskcache"))
    memoized = cache.memoize()(lambda text: plain_accuracy({}))
    for point in grid:
        memory(point)
        memoized(repr(point))
    return [
        [
            "cached call, 12-key dict (median, 90 %, 99 %)",
            "≤ 60 µs",
            ours,
            each(memory, grid),
            each(lambda point: memoized(repr(point)), grid) + " ¹",
        ],
        [
            "the same in one `run` over all points, each",
            "≤ 60 µs",
            f"{1e6 * amortised / count:.0f} µs",
            "–",
            "–",
        ],
    ]


def first_calls(root: Path, count: int) -> list[list[str]]:
    grid = points(count)
    ours = seconds(lambda: dj.run(grid, accuracy, cache_dir=root / "ours")("{*}")) / count
    memory = joblib.Memory(root / "joblib", verbose=0).cache(plain_accuracy)
    cache = diskcache.Cache(str(root / "diskcache"))
    memoized = cache.memoize()(lambda text: plain_accuracy({}))
    theirs = seconds(lambda: [memory(point) for point in grid]) / count
    third = seconds(lambda: [memoized(repr(point)) for point in grid]) / count
    shown = [f"{1e3 * s:.2f} ms" for s in (ours, theirs, third)]
    return [
        ["first call (ours waits for the disk, claims, provenance)", "–", shown[0], shown[1], shown[2] + " ¹"]
    ]


def large_store(root: Path, count: int) -> list[list[str]]:
    grid = points(count)
    empty = both(lambda: dj.missing(grid, accuracy, cache_dir=root / "empty")("{*}"))
    fill(root / "ours", grid)
    full = both(lambda: dj.missing(grid, accuracy, cache_dir=root / "ours")("{*}"))
    frame = both(lambda: dj.to_dataframe(root / "ours" / "accuracy"))
    size = f"{count:,}".replace(",", " ")
    return [
        [f"plan of {size} points, nothing stored", "≤ 5 s", empty, "–", "–"],
        [f"plan of {size} points, all stored", "≤ 5 s", full, "–", "–"],
        [f"data frame of {size} results", "≤ 5 s", frame, "–", "–"],
    ]


def array_key(megabytes: int) -> list[list[str]]:
    array = np.random.default_rng(0).random(megabytes * 125_000)
    # views: an array that is hashed again and again is compared with a copy instead
    views = [array.view() for _ in range(3)]
    ours = min(seconds(lambda view=view: digest(view)) for view in views)
    sha = min(seconds(lambda: hashlib.sha256(array.data).digest()) for _ in range(3))
    theirs = min(seconds(lambda: joblib.hash(array)) for _ in range(3))
    return [
        [
            f"key of a {megabytes} MB array (SHA-256 of its bytes: {1e3 * sha:.0f} ms)",
            f"≤ {2e3 * sha:.0f} ms",
            f"{1e3 * ours:.0f} ms",
            f"{1e3 * theirs:.0f} ms",
            "–",
        ]
    ]


def flipped_bit(root: Path, count: int) -> list[list[str]]:
    fill(root, points(count))
    victim = sorted(root.glob("accuracy/??/*.json"))[count // 3]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        report = dj.verify(Store(root))
        spent = time.perf_counter() - start
    found = report.quarantined == (f"accuracy/{victim.stem}",) and report.sound == count - 1
    told = f"{'that one' if found else 'WRONG'}, {spent:.1f} s"
    return [[f"one flipped bit among {count} results: quarantined", "that one", told, "–", "–"]]


SCRIPT = """
import os, sys, time
kind, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def compute(n):
    with open(os.path.join(root, "calls"), "a") as calls:
        calls.write(f"{n}\\n")
    time.sleep(0.005)
    return n * n

if kind == "ours":
    import datajuicer as dj
    function = dj.cachable(["n"])(compute)
    dj.run(dj.split([{}], "n", range(count)), function, cache_dir=os.path.join(root, "store"))("{n}")
elif kind == "joblib":
    import joblib
    function = joblib.Memory(os.path.join(root, "store"), verbose=0).cache(compute)
    [function(n) for n in range(count)]
else:
    import diskcache
    function = diskcache.Cache(os.path.join(root, "store")).memoize()(compute)
    [function(n) for n in range(count)]
"""


def many_processes(root: Path, count: int) -> list[list[str]]:
    script = root / "script.py"
    script.write_text(SCRIPT)
    shown = []
    for kind in ("ours", "joblib", "diskcache"):
        folder = root / kind
        folder.mkdir()
        start = time.perf_counter()
        command = [sys.executable, str(script), kind, str(folder), str(count)]
        environment = {**os.environ, "PYTHONPATH": str(Path(dj.__file__).parents[1])}
        for process in [subprocess.Popen(command, env=environment) for _ in range(8)]:
            process.wait()
        calls = len((folder / "calls").read_text().split())
        shown.append(f"{calls} in {time.perf_counter() - start:.1f} s")
    return [[f"8 processes on the same {count} points of 5 ms: computations", str(count), *shown]]


def worker_processes(root: Path, count: int) -> list[list[str]]:
    grid = points(count)
    with contextlib.redirect_stderr(io.StringIO()):
        ours = seconds(lambda: dj.run(grid, accuracy, n_threads=2, cache_dir=root / "ours")("{*}"))
    parallel = joblib.Parallel(n_jobs=2, backend="loky")
    theirs = seconds(lambda: parallel(joblib.delayed(plain_accuracy)(p) for p in grid))
    return [
        [
            f"{count} empty points on 2 new worker processes (ours also stores them)",
            "–",
            f"{ours:.2f} s",
            f"{theirs:.2f} s",
            "–",
        ]
    ]


@dj.cachable(["n"], on_code_change="ignore")
def undeclared(n: int, data: Any) -> float:
    return float(data[n])


@dj.cachable(["n", "data"], on_code_change="ignore")
def declared(n: int, data: Any) -> float:
    return float(data[n])


def shared_array(root: Path, megabytes: int) -> list[list[str]]:
    """Both functions in turn, in processor time: the rows are quotients of times of a few milliseconds."""
    data = np.random.default_rng(0).random(megabytes * 125_000)
    grid = dj.split([{"data": data}], "n", range(100))

    def took(function: dj.Cachable) -> float:
        start = time.process_time()
        dj.run(grid, function, cache_dir=root, progress=False)("{n}", "{data}")
        return time.process_time() - start

    rows = []
    for what, repeats in (("computed and stored", 1), ("all stored, 11 runs", 11)):
        times = [(took(undeclared), took(declared)) for _ in range(repeats)]
        without, with_it = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append(
            [
                f"100 points that share a declared {megabytes} MB array, {what}, against undeclared",
                "≤ 3 times",
                f"{with_it / without:.1f} times (processor {1e3 * with_it:.0f} ms, {1e3 * without:.0f} ms)",
                "–",
                "–",
            ]
        )
    return rows


def explained(root: Path, records: int, points_missing: int) -> list[list[str]]:
    fill(root, points(records))
    grid = dj.split([SETTINGS | {"beta": 0.5}], "seed", range(points_missing))
    spent = both(lambda: dj.explain(grid, accuracy, root)("{*}"))
    what = f"{points_missing} missing points explained against {records} records"
    return [[what, "≤ 10 s", spent, "–", "–"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    size = 10 if parser.parse_args().quick else 1
    root = Path(tempfile.mkdtemp(prefix="engine-"))
    parts = [
        lambda r: cached_calls(r, 2000 // size),
        lambda r: first_calls(r, 300 // size),
        lambda r: large_store(r, 100_000 // size),
        lambda r: array_key(100 // size),
        lambda r: flipped_bit(r, 10_000 // size),
        lambda r: many_processes(r, 200 // size),
        lambda r: worker_processes(r, 200 // size),
        lambda r: shared_array(r, 64 // size),
        lambda r: explained(r, 10_000 // size, 1000 // size),
    ]
    print("| what | target | datajuicer | joblib.Memory | diskcache |\n|---|---|---|---|---|")
    try:
        for number, part in enumerate(parts):
            folder = root / str(number)
            folder.mkdir()
            for row in part(folder):
                print("| " + " | ".join(row) + " |", flush=True)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(
        f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.\n"
        "¹ diskcache pickles its arguments and cannot take a dict: it was given the text of one, which is\n"
        "  less work than a typed key. It does not wait for the disk or verify what it reads."
    )


if __name__ == "__main__":
    main()
