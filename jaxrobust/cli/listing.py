"""What -list prints: every experiment with its cost under each protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrobust.cli.counts import calls_of, ids_of
from jaxrobust.cli.estimate import UNKNOWN, core_time, to_compute
from jaxrobust.cli.experiments import Experiment, protocols_of
from jaxrobust.cli.folder import experiment_files, title
from jaxrobust.cli.stores import store_of
from jaxrobust.cli.words import columns
from jaxrobust.studies.costs import Cost, Costs
from jaxrobust.studies.stages import PlannedStage


def show_costs(
    plans: Mapping[str, Mapping[str, list[PlannedStage]]],
    experiments: Mapping[str, Experiment],
    folder: Path,
    options: Mapping[str, Any],
) -> None:
    """Print a line for each experiment and protocol: models, core time of their training, what is missing.

    Args:
        plans: The stages by protocol and experiment.
        experiments: The experiments.
        folder: Where their files lie.
        options: The words of the command.
    """
    store = store_of(options)
    costs, files = Costs(store), experiment_files(folder)
    for name, experiment in experiments.items():
        print(f"{name}: {title(files[name])}".rstrip(": "))
        rows = []
        seen = set()
        for protocol in protocols_of(experiment):
            stages = plans.get(protocol, {}).get(name, ())
            if stages and (ids := ids_of(stages)) not in seen:
                seen.add(ids)
                calls = calls_of(stages)
                missing = len(to_compute(store, calls, {"force": False, "retry": True}))
                rows.append((protocol, _cost(costs.of(calls), missing)))
        print(columns(rows))
    print("Times are of training on one core, from stored results; evaluations come on top.")


def _cost(cost: Cost, missing: int) -> str:
    n_models = cost.known + cost.unknown
    models = f"{n_models} model{'s' if n_models > 1 else ''}"
    there = "all there" if not missing else f"{missing} missing"
    if not cost.known:
        return f"{models}, {there}; {UNKNOWN}"
    rest = f" without {cost.unknown} of which nothing alike is stored" if cost.unknown else ""
    return f"{models}, {there}; about {core_time(cost.seconds)}{rest}"
