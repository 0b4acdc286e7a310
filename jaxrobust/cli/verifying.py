"""train.py -verify=n: compute some stored models again, evaluations included, and compare every number."""

import random
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

import datajuicer as dj
from jaxrobust.cli.computing import explained
from jaxrobust.cli.experiments import Experiment, evaluate, plan_experiment
from jaxrobust.cli.stores import store_of
from jaxrobust.cli.words import Words
from jaxrobust.errors import InputError
from jaxrobust.studies.stages import PlannedStage, finished


def verify(
    plans: Mapping[str, list[PlannedStage]], experiments: Mapping[str, Experiment], words: Words
) -> int:
    """Verify each experiment; 0 if every result that is stored is the same again, else 1.

    Args:
        plans: The stages by experiment.
        experiments: By name.
        words: ``-verify`` is how many models of the first stage are computed, drawn the same way each time.

    Raises:
        InputError: An experiment has nothing stored.
    """
    return max([_verify(name, stages, experiments[name], words) for name, stages in plans.items()], default=0)


def _verify(name: str, stages: list[PlannedStage], experiment: Experiment, words: Words) -> int:
    store, first = store_of(words.options), stages[0]
    stored = dj.status(first.grid, first.stage.compute, store)("{*}").done
    if not stored:
        raise InputError(f"{name} has no stored models to verify; train.py without -verify computes them.")
    chosen = random.Random(0).sample(list(stored), min(words.options["verify"], len(stored)))
    with TemporaryDirectory(prefix="jaxrobust-verify-") as folder:
        failed = explained(lambda: _compute_again(experiment, chosen, words, folder))
        found = dj.compare_results(dj.Store(folder), store)
    again = f"{name}: {len(chosen)} of {len(stored)} stored models computed again"
    n_compared = len(found.same) + len(found.different)
    print(f"{again}; {len(found.same)} of {n_compared} results are the same to the last bit")
    if found.missing:
        print(f"  not compared: {len(found.missing)} results that are not stored", file=sys.stderr)
    for key, where in found.different.items():
        print(f"  differs (again, stored): {key}: {where}", file=sys.stderr)
    return failed or int(bool(found.different))


def _compute_again(experiment: Experiment, chosen: list[dict[str, Any]], words: Words, folder: str) -> None:
    how: dict[str, Any] = {"n_threads": words.options["n_threads"], "cache_dir": folder, "progress": True}
    stages = plan_experiment(experiment, chosen, words.settings, folder)
    for planned in stages:
        dj.run(planned.grid, planned.stage.compute, **how)("{*}")
    evaluate(experiment, finished(stages, run_mode="load", cache_dir=folder), **how)
