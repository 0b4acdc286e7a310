"""Timing for the benchmarks: medians over alternating repeats, compile time and scratch memory apart."""

import platform
import resource
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np


class Program(NamedTuple):
    """A compiled program: seconds to compile, scratch memory in MiB, and the call."""

    compile_seconds: float
    scratch_mib: float
    call: Callable[[], Any]


class Timing(NamedTuple):
    """Median milliseconds and page faults of one call."""

    milliseconds: float
    page_faults: float


def compiled(function: Callable, *arguments: Any) -> Program:
    """Compile a function for its arguments, with JAX's caches out of the way."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - began
    memory = program.memory_analysis()
    scratch = getattr(memory, "temp_size_in_bytes", float("nan")) / 2**20
    return Program(seconds, scratch, lambda: program(*arguments))


def alternating(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """Time calls in turn, so that a busy machine disturbs all of them alike."""
    for call in calls.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    faults: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            began = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - began)
            faults[name].append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return {
        name: Timing(1e3 * float(np.median(seconds[name])), float(np.median(faults[name]))) for name in calls
    }


def machine() -> str:
    """What the figures were measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy"))
    device = jax.devices()[0].device_kind
    return (
        f"{platform.machine()} {platform.system()}, {device}, Python {platform.python_version()}, {packages}"
    )


def table(columns: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    texts = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in texts])
