"""Timing for the benchmarks: programs in processes of their own, called in turn, medians over the repeats."""

import argparse
import math
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrobust.training.malloc import keep_freed_memory, return_freed_memory

# Slower programs need no extra call to warm up: their first call has done that.
MILLISECONDS_OF_SLOW_CALLS = 1000
# Steps follow each other in a training. A single call of a few milliseconds, after other programs have had
# the cores and their caches, may take twice as long.
MILLISECONDS_OF_A_TURN = 200


class Program(NamedTuple):
    """A program to be timed.

    Attributes:
        first_call_seconds: Tracing, compiling and running it once.
        scratch_mib: Memory for what it computes in between; NaN if nobody tells.
        call: Runs it to the end.
    """

    first_call_seconds: float
    scratch_mib: float
    call: Callable[[], Any]


class Group(NamedTuple):
    """Programs that share a process.

    Attributes:
        build: Gives the programs by name; called in the process, so it and its arguments must be picklable.
        arguments: What ``build`` is called with.
        keeps_memory: Whether freed memory stays in the process (``jaxrobust.training.malloc``).
    """

    build: Callable[..., Mapping[str, Program]]
    arguments: Sequence[Any] = ()
    keeps_memory: bool = True


class Figures(NamedTuple):
    """What was measured: medians of one call, and what can be measured once only.

    Attributes:
        milliseconds: On the clock.
        processor_milliseconds: Of all cores together; where others use the machine too, it tells more.
        page_faults: Minor ones.
        first_call_seconds: See ``Program``.
        scratch_mib: See ``Program``.
    """

    milliseconds: float
    processor_milliseconds: float
    page_faults: float
    first_call_seconds: float
    scratch_mib: float


def compiled(function: Callable, *arguments: Any) -> Program:
    """Compile a function for its arguments and run it once."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return_freed_memory()  # as a training does
    jax.block_until_ready(program(*arguments))
    seconds = time.perf_counter() - began
    scratch = getattr(program.memory_analysis(), "temp_size_in_bytes", float("nan")) / 2**20
    return Program(seconds, scratch, lambda: jax.block_until_ready(program(*arguments)))


def alternating(groups: Mapping[str, Group], repeats: int) -> dict[tuple[str, str], Figures]:
    """Time the programs of all groups in turn, so that a busy machine disturbs all of them alike.

    A turn of a program is one call, or as many as fill 0.2 seconds. Each has one turn more than ``repeats``
    says, to warm up, unless a call takes over a second.
    Progress is printed to the standard error stream.

    Returns:
        The figures by (name of the group, name of the program), without groups whose libraries are missing.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes, first = {}, [], {}
    for name, group in groups.items():
        pipes[name], its_end = context.Pipe()
        processes.append(context.Process(target=_serve, args=(its_end, *group), daemon=True))
        processes[-1].start()
        began = time.perf_counter()
        answer = pipes[name].recv()  # one after the other, as compiling takes all cores
        if isinstance(answer, Exception):
            if not isinstance(answer, ImportError):
                raise answer
            print(f"{name}: left out, {answer}\n")
            continue
        first.update({(name, program): figures for program, figures in answer.items()})
        calls = ", ".join(f"{program} {seconds:.1f} s" for program, (seconds, _) in answer.items())
        _tell(f"{name}: ready after {time.perf_counter() - began:.1f} s; first calls: {calls}")
    spent: dict[tuple[str, str], list[tuple[float, ...]]] = {key: [] for key in first}
    warm_up = 1 if repeats > 1 else 0
    for turn in range(warm_up + repeats):
        began = time.perf_counter()
        for (group, program), calls in spent.items():
            if len(calls) < repeats or calls[0][0] < MILLISECONDS_OF_SLOW_CALLS:
                pipes[group].send(program)
                calls.append(pipes[group].recv())
        _tell(f"turn {turn + 1} of {warm_up + repeats}: {time.perf_counter() - began:.1f} s")
    for process in processes:
        process.terminate()
        process.join()
    return {
        key: Figures(*np.median(np.array(calls[-repeats:]), axis=0).tolist(), *first[key])
        for key, calls in spent.items()
    }


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _serve(
    connection: Connection, build: Callable[..., Mapping[str, Program]], arguments: Sequence[Any], keeps: bool
) -> None:
    if keeps:
        keep_freed_memory()
    jax.config.update("jax_enable_compilation_cache", False)
    jax.jit(lambda x: x + 1)(1.0)  # the start of the compiler is nobody's
    try:
        programs = build(*arguments)
    except Exception as error:
        connection.send(error)
        return
    connection.send({name: program[:2] for name, program in programs.items()})
    while True:
        connection.send(_turn(programs[connection.recv()].call))


def _turn(call: Callable[[], Any]) -> tuple[float, ...]:
    """Milliseconds, processor milliseconds and page faults of a call: medians, the turn's first left out."""
    calls: list[tuple[float, ...]] = []
    while sum(milliseconds for milliseconds, *_ in calls) < MILLISECONDS_OF_A_TURN:
        before, began = _used(), time.perf_counter()
        call()
        milliseconds = 1e3 * (time.perf_counter() - began)
        calls.append((milliseconds, *(now - then for now, then in zip(_used(), before, strict=True))))
    return tuple(np.median(np.array(calls[1:] or calls), axis=0).tolist())


def _used() -> tuple[float, int]:
    """Milliseconds of the processors, and page faults, of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (usage.ru_utime + usage.ru_stime), usage.ru_minflt


def repeats_of(about: str, default: int) -> int:
    """The number of repeats from the command line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=default)
    return parser.parse_args().repeats


def heading(title: str) -> None:
    """Print what was measured, on what."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy"))
    print(
        f"{title}\n\n{platform.machine()} {platform.system()}, {os.cpu_count()} cores, "
        f"{jax.devices()[0].device_kind}, Python {platform.python_version()}, {packages}; "
        f"load {os.getloadavg()[0]:.1f}\n"
    )


def table(columns: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    return "\n".join([line(columns), "|" + "---|" * len(columns), *map(line, rows)])


def line(cells: Sequence[Any]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(map(_shown, cells)) + " |"


def _shown(cell: Any) -> str:
    if not isinstance(cell, float):
        return str(cell)
    if math.isnan(cell):
        return "–"
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
