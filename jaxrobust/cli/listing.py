"""What -list prints: every experiment with its cost under each protocol."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxrobust.cli.counts import calls_of, ids_of
from jaxrobust.cli.estimate import UNKNOWN, core_time, to_compute
from jaxrobust.cli.experiments import BrokenExperiment, Experiment, protocols_of
from jaxrobust.cli.folder import experiment_files, title
from jaxrobust.cli.stores import store_of
from jaxrobust.cli.words import columns
from jaxrobust.errors import InputError
from jaxrobust.studies.costs import Cost, Costs
from jaxrobust.studies.stages import PlannedStage


def show_costs(
    plan: Callable[[str, str], list[PlannedStage]],
    experiments: Mapping[str, Experiment],
    folder: Path,
    options: Mapping[str, Any],
) -> None:
    """Print a line for each experiment and protocol: models, core time of their training, what is missing.

    Args:
        plan: ``plan(name, protocol)`` gives the stages of an experiment.
        experiments: The experiments.
        folder: Where their files lie.
        options: The words of the command.

    Raises:
        InputError: Nothing can be planned: ``-only`` leaves no model, or a setting is wrong.
    """
    store = store_of(options)
    costs, files = Costs(store), experiment_files(folder)
    errors: list[InputError] = []  # one for each experiment without any plan
    for name, experiment in experiments.items():
        rows, seen, error = [], set(), None
        for protocol in _distinct(experiment, options["protocol"]):
            try:
                stages = plan(name, protocol)
            except InputError as found:
                error = found
                continue
            if (ids := ids_of(stages)) not in seen:
                seen.add(ids)
                calls = calls_of(stages)
                missing = len(to_compute(store, calls, {"force": False, "retry": True}))
                rows.append((protocol, _cost(costs.of(calls), missing)))
        if not rows and error is not None:
            errors.append(error)
            if not isinstance(error, BrokenExperiment):
                continue
            rows = [("broken", str(error))]
        print(f"{name}: {title(files[name])}".rstrip(": "))
        print(columns(rows))
    if errors and len(errors) == len(experiments):
        raise errors[0]
    print("Times are of training on one core, from stored results; evaluations come on top.")


def _distinct(experiment: Experiment, chosen: str) -> list[str]:
    """The chosen protocol, or one name for each that an experiment has: other data make no other models."""
    if chosen:
        return [chosen]
    first: dict[int, str] = {}
    for name, protocol in protocols_of(experiment).items():
        first.setdefault(id(protocol), name)
    return list(first.values())


def _cost(cost: Cost, missing: int) -> str:
    n_models = cost.known + cost.unknown
    models = f"{n_models} model{'s' if n_models > 1 else ''}"
    there = "all there" if not missing else f"{missing} missing"
    if not cost.known:
        return f"{models}, {there}; {UNKNOWN}"
    rest = f" without {cost.unknown} of which nothing alike is stored" if cost.unknown else ""
    return f"{models}, {there}; about {core_time(cost.seconds)}{rest}"
