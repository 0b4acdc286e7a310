"""Compute the stages of experiments one after the other, then evaluate; failures do not stop the others."""

import sys
from collections.abc import Callable
from typing import Any

import datajuicer as dj
from jaxrobust.cli import on_cluster
from jaxrobust.cli.experiments import Experiment, evaluate
from jaxrobust.cli.outcome import say_outcome
from jaxrobust.cli.stores import store_of
from jaxrobust.cli.time_limit import EXIT_STATUS, TimeIsUp, stopping_after
from jaxrobust.cli.words import Words
from jaxrobust.studies.compiling import compile_ahead
from jaxrobust.studies.stages import PlannedStage, finished, n_unfinished

# Levels or sizes of one network that are handed to the device in one call.
EVALUATIONS_AT_ONCE = 16


def compute_and_evaluate(
    stages: list[PlannedStage],
    experiments: dict[str, Experiment],
    plans: dict[str, list[PlannedStage]],
    words: Words,
) -> int:
    """Compute all stages, evaluate all experiments and say what came of them; the exit status."""
    options = words.options
    how = {
        "n_threads": options["n_threads"],
        "run_mode": "force" if options["force"] else "retry" if options["retry"] else "normal",
        "cache_dir": store_of(options),
        "progress": True,
    }
    failed = 0
    try:
        with stopping_after(options["stop_after"]), on_cluster.executor(options) as executor:
            how["executor"] = executor
            for stage in stages:
                failed = _compute(stage, how, options) or failed
            for name, its_stages in plans.items():
                failed = _evaluate(name, experiments.get(name), its_stages, how, words) or failed
    except TimeIsUp:
        return _left(stages, options)
    return failed


def _left(stages: list[PlannedStage], options: dict[str, Any]) -> int:
    """Say what -stop_after left; gives the status of a command whose time was up."""
    n_all = sum(len(planned.grid) for planned in stages)
    n_left = n_unfinished(stages, store_of(options))
    left = f"{n_left} of {n_all} models are left" if n_left else "all models are there, evaluations are left"
    print(
        f"Stopped after {options['stop_after']} s: {left}; the same command goes on from the checkpoints.",
        file=sys.stderr,
    )
    return EXIT_STATUS


def _compute(planned: PlannedStage, how: dict[str, Any], options: dict[str, Any]) -> int:
    """Compute a stage; 0 if all went well."""
    stage, grid = planned.stage, planned.grid
    states = dj.status(grid, stage.compute, how["cache_dir"])("{*}")
    waiting = states.waiting
    if waiting:
        grid = [*states.done, *states.failed, *states.running, *states.missing]
        print(
            f"waiting: {len(waiting)} points of stage {stage.name!r} need earlier results, which failed",
            file=sys.stderr,
        )
    is_here = options["n_threads"] == 1 and how["executor"] is None
    if is_here and options["models_per_job"] > 1 and stage.compute == "train":
        compile_ahead(states.missing, options["models_per_job"])
    failed = explained(lambda: dj.run(grid, stage.compute, batch=options["models_per_job"], **how)("{*}"))
    return failed or (1 if waiting else 0)


def _evaluate(
    name: str,
    experiment: Experiment | None,
    stages: list[PlannedStage],
    how: dict[str, Any],
    words: Words,
) -> int:
    """Evaluate what of an experiment is computed, and say what came of it; 0 if all went well."""
    points = finished(stages, run_mode="load_any", cache_dir=how["cache_dir"])
    # Who trains several models in one program has a device that must not wait for the host.
    how = how | {"batch": EVALUATIONS_AT_ONCE if words.options["models_per_job"] > 1 else 1}
    if not points:
        return 0
    failed = 0 if experiment is None else explained(lambda: evaluate(experiment, points, **how))
    n_all = sum(len(planned.grid) for planned in stages)
    if not failed and len(points) == n_all:
        say_outcome(name, experiment, points, words)
    return failed


def explained(compute: Callable[[], object]) -> int:
    """Run something; each failed point is explained in a line, and the others are kept.

    Gives 1 for failures of the computation, which are recorded, and 2 if all that stood in the way was
    something that the user can fix, such as a full disk.
    """
    try:
        compute()
    except dj.RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if any(failure.recorded for failure in error.failures) else 2
    return 0
