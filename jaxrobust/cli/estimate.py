"""What a run will cost, said before it starts, and a question if that is more than an hour."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import datajuicer as dj
from datajuicer.running.plan import Call
from datajuicer.running.settling import settle_all
from datajuicer.running.states import State
from datajuicer.running.status import states_of
from datajuicer.store.listing import Listing
from jaxrobust.cli.counts import calls_of
from jaxrobust.cli.stores import store_of
from jaxrobust.studies.costs import Cost, Costs
from jaxrobust.studies.stages import PlannedStage

ASKED_ABOVE = 3600.0  # seconds of one core
UNKNOWN = "nothing alike is stored, so how long it takes is not known"


def may_start(stages: Sequence[PlannedStage], options: Mapping[str, Any]) -> bool:
    """Print the estimate of what is to be computed; ask whether to start if it is more than an hour.

    Nobody is asked without a terminal, or with -yes.
    """
    store = store_of(options)
    calls = to_compute(store, calls_of(stages), options)
    if not calls:
        return True
    cost = Costs(store).of(calls)
    print(f"estimate: {estimate(cost, options['n_threads'])}", file=sys.stderr)
    is_asked = cost.seconds > ASKED_ABOVE and not options["yes"] and _is_watched()
    return not is_asked or _answers_yes()


def to_compute(store: dj.Store, calls: Sequence[Call], options: Mapping[str, Any]) -> list[Call]:
    """The calls that a run will make: what is missing, or what -force or -retry add."""
    if options["force"]:
        return list(calls)
    listing = Listing(store.outcomes)
    settled = settle_all(store, calls, listing)
    wanted = {State.MISSING, State.WAITING} | ({State.FAILED} if options["retry"] else set())
    states = states_of(store, settled, listing)
    return [call for call, state in zip(settled, states, strict=True) if state in wanted]


def estimate(cost: Cost, n_workers: int = 1) -> str:
    """A cost in words: "16 models, about 27 core hours of training"."""
    n_models = cost.known + cost.unknown
    models = f"{n_models} model{'s' if n_models > 1 else ''}"
    if not cost.known:
        return f"{models} to train; {UNKNOWN}"
    shared = f" ({core_time(cost.seconds / n_workers)} with {n_workers} workers)" if n_workers > 1 else ""
    rest = f", without {cost.unknown} of which nothing alike is stored" if cost.unknown else ""
    time = f"about {core_time(cost.seconds)} of one core{shared}"
    return f"{models} to train, {time}{rest}; evaluations come on top"


def core_time(seconds: float) -> str:
    """A time with two digits: "40 seconds", "12 minutes", "2.6 hours", "130 hours"."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.2g} {unit}" if count < 99.5 else f"{count:,.0f} {unit}"
    return f"{max(1, round(seconds))} seconds"


def _is_watched() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _answers_yes() -> bool:
    print("Start? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
