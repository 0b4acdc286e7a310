"""What make_figures.py does once its words are read: choose the protocol of each experiment and draw it."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import datajuicer as dj
from datajuicer.store.default import default_store
from jaxrobust import data
from jaxrobust.cli.experiments import (
    BrokenExperiment,
    Experiment,
    draws_alone,
    evaluate,
    grid_of,
    is_done,
    load_experiments,
    plan_experiment,
    protocols_of,
)
from jaxrobust.cli.imports import import_files
from jaxrobust.cli.stores import OWN, store_of
from jaxrobust.cli.words import Words, as_invoked
from jaxrobust.errors import InputError
from jaxrobust.studies.availability import on_stand_ins
from jaxrobust.studies.stages import PlannedStage, finished, n_unfinished, stages_of


class Outcome(Enum):
    """What became of an experiment."""

    DRAWN = "drawn"
    LACKING = "lacks results"
    BROKEN = "broken"


def draw(names: Sequence[str], words: Words, folder: Path) -> int:
    """Draw experiments; return the exit status.

    Raises:
        InputError: Words that are wrong.
        UsageError: The same, of what belongs to the engine.
    """
    import_files(words.options["import"])
    are_named = bool(words.options["exp"])
    ready = {name: _ready(name, words, folder) for name in names}
    figures = Path(words.options["figures"])
    outcomes: dict[str, Outcome] = {}
    for place, (name, found) in enumerate(ready.items(), 1):
        if sys.stderr.isatty():
            print(f"{place}/{len(ready)} {name}", file=sys.stderr, flush=True)
        outcomes[name] = Outcome.BROKEN if found is None else _draw(name, found, figures, are_named)
    n_drawn = sum(outcome is Outcome.DRAWN for outcome in outcomes.values())
    lacking = [name for name, outcome in outcomes.items() if outcome is Outcome.LACKING]
    if lacking and not are_named:
        print(
            f"without all their results yet: {', '.join(lacking)}; "
            + as_invoked(f"python train.py -exp={lacking[0]} computes those of the first")
        )
    print(f"{n_drawn} of {len(outcomes)} experiments drawn.")
    stops = (Outcome.LACKING, Outcome.BROKEN) if are_named else (Outcome.BROKEN,)
    return 1 if any(outcome in stops for outcome in outcomes.values()) else 0


class Ready(NamedTuple):
    """An experiment with its planned stages, and how to find their results."""

    experiment: Experiment
    stages: list[PlannedStage]
    how: dict[str, Any]


def _ready(name: str, words: Words, folder: Path) -> Ready | None:
    """Load an experiment and choose its protocol; None if it is broken, which is said.

    Raises:
        InputError: Words that are wrong, which would be wrong for the others too.
    """
    try:
        experiment = load_experiments([name], folder)[name]
        protocol, stages = _protocol_with_results(experiment, words.options, words.settings)
    except BrokenExperiment as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return None
    except (InputError, dj.UsageError):
        raise
    except Exception:
        _say_broken(name)
        return None
    changed = {} if protocol == "published" else {"protocol": protocol}
    changed |= {"only": ",".join(words.options["only"])} if words.options["only"] else {}
    if words.options["sessions"] != OWN:
        changed["sessions"] = words.options["sessions"]
    changed |= {name: words.options[name] for name in ("experiments",) if words.options[name]}
    changed |= {"import": ",".join(words.options["import"])} if words.options["import"] else {}
    changed |= words.settings
    command = " ".join(
        [as_invoked(f"python train.py -exp={name}"), *(f"-{key}={value}" for key, value in changed.items())]
    )
    how = {"run_mode": "load", "cache_dir": store_of(words.options), "hint": command}
    return Ready(experiment, stages, how)


def _protocol_with_results(
    experiment: Experiment, options: dict[str, Any], settings: Mapping[str, str]
) -> tuple[str, list[PlannedStage]]:
    """The protocol asked for or, if none is, the first whose stages are all computed; and its stages.

    Networks that do not depend on each other may each have another protocol. On real data before the built-in
    stand-ins; if nothing is complete, the one with the smallest part to go.
    """
    grids, store = _candidates(experiment, options, settings), store_of(options)
    if not options["protocol"] and (best := _best_of_each_network(experiment, grids, settings, store)):
        return "published", best
    missing: list[float] = []
    plans: list[tuple[str, list[PlannedStage]]] = []
    for name, grid in grids:
        stages = plan_experiment(experiment, grid, settings, store)
        plans.append((name, stages))
        missing.append(n_unfinished(stages, store) / sum(len(planned.grid) for planned in stages))
        if not missing[-1]:
            break
    return plans[missing.index(min(missing))]


def _candidates(
    experiment: Experiment, options: dict[str, Any], settings: Mapping[str, str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Protocols with their grids, best first; on stand-ins after all others."""
    names = [options["protocol"]] if options["protocol"] else list(protocols_of(experiment))
    grids = [(name, grid_of(experiment, name, settings, options["only"])) for name in names]
    if not all("architecture" in point for _, grid in grids for point in grid):
        return grids
    built_in = [(name, on_stand_ins(grid)) for name, grid in grids]
    real = [
        (name, on_stand_ins(grid, data.REAL_STAND_INS) if name == "full" else grid) for name, grid in grids
    ]
    return real + built_in


def _best_of_each_network(
    experiment: Experiment,
    grids: list[tuple[str, list[dict[str, Any]]]],
    settings: Mapping[str, str],
    store: dj.Store,
) -> list[PlannedStage] | None:
    """For each architecture of an experiment the first grid that is done; None unless all have one."""
    names = list(dict.fromkeys(point.get("architecture") for _, grid in grids for point in grid))
    if len(names) < 2 or None in names or len(stages_of(experiment)) > 1:
        return None
    chosen: list[dict[str, Any]] = []
    for name in names:
        for _, grid in grids:
            part = [point for point in grid if point["architecture"] == name]
            stages = plan_experiment(experiment, part, settings, store) if part else []
            if part and is_done(stages, experiment, store):
                chosen += part
                break
        else:
            return None
    return plan_experiment(experiment, chosen, settings, store)


def _draw(name: str, ready: Ready, folder: Path, is_named: bool) -> Outcome:
    """Draw one experiment; one that is broken or lacks results does not stop the others."""
    try:
        points = finished(ready.stages, **ready.how)
        if draws_alone(ready.experiment):
            with default_store(ready.how["cache_dir"]):  # it names none
                paths = ready.experiment.visualize() or []  # type: ignore[call-arg] # as published
        else:
            paths = ready.experiment.visualize(evaluate(ready.experiment, points, **ready.how), folder)
    except dj.MissingResults as error:
        if is_named:
            print(f"missing: {name}: {str(error).splitlines()[0]}", file=sys.stderr)
        return Outcome.LACKING
    except (InputError, dj.UsageError, OSError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return Outcome.BROKEN
    except Exception:
        _say_broken(name)
        return Outcome.BROKEN
    print(*paths, sep="\n", flush=True)
    return Outcome.DRAWN


def _say_broken(name: str) -> None:
    print(f"error: {name}: this is a bug of the experiment:", file=sys.stderr)
    traceback.print_exc()
