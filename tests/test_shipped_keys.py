"""Every result that ships in sessions/ has the key that the present code gives it.

Each record is reached in two ways:

* Planned: every experiment is planned under each of its protocols, on its own data and on the built-in
  stand-ins. Planning all its stages gives the keys of the trainings (functions ``train_*``) and of what later
  stages compute; `evaluate` over the stored points gives the keys of the evaluations (all other functions).
  Nothing is computed.
* Recomputed: the dependencies that a record names are turned back into values, and `result_key` of these is
  the record's own key.

A test that fails here says that shipped results (and those of users) would be computed again.
"""

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import datajuicer as dj
import jaxrobust.perturbations
from datajuicer import keys
from datajuicer.running import run
from datajuicer.store import values
from jaxrobust.cli.experiments import (
    evaluate,
    grid_of,
    load_experiments,
    plan_experiment,
    protocols_of,
)
from jaxrobust.studies.availability import on_stand_ins
from jaxrobust.studies.earlier_defaults import EARLIER
from jaxrobust.studies.parameter_noise.catalogue import family_named
from jaxrobust.studies.stages import finished, stages_of

ROOT = Path(__file__).parents[1]
SESSIONS = ROOT / "sessions"

# Results that shipped with commit e67a440, by function: 1,683 in all.
SHIPPED = {
    "adversarial_landscape": 18,
    "box_corner_accuracy": 40,
    "example_answers": 6,
    "loss_spectrum": 18,
    "mean_absolute_weights": 16,
    "mismatch_accuracy": 834,
    "neuron_activity": 8,
    "perturbed_accuracy": 28,
    "phase_change_accuracy": 30,
    "quantized_accuracy": 14,
    "random_landscape": 54,
    "train_cifar_cnn": 17,
    "train_cnn": 49,
    "train_ecg_lsnn": 67,
    "train_mnist_mlp": 8,
    "train_resnet32": 19,
    "train_speech_lsnn": 65,
    "verified_test_accuracy": 48,
    "worst_case_accuracy": 344,
}


def shipped_records():
    store = dj.Store(SESSIONS)
    return [record for name in store.functions() for record in store.records(name)]


@pytest.fixture(scope="module")
def records():
    return shipped_records()


def test_all_records_are_there(records):
    found = Counter(record["function"] for record in records)
    assert sum(SHIPPED.values()) == 1683
    assert {name: found[name] for name in SHIPPED if found[name] < SHIPPED[name]} == {}


def planned_keys(monkeypatch):
    """(function, key) of everything that the experiments train and evaluate, under every protocol."""
    planned = set()
    plan = run.plan

    def watched(*call):
        items = plan(*call)
        planned.update((item.name, item.key) for item in items)
        return items

    monkeypatch.setattr(run, "plan", watched)
    how = {"cache_dir": SESSIONS, "run_mode": "load_any"}
    for experiment in load_experiments([], ROOT / "experiments").values():
        for protocol in protocols_of(experiment):
            grid = grid_of(experiment, protocol, {})
            for points in (grid, on_stand_ins(grid)):
                # Later stages are planned where the first has results: without them they have none either.
                if dj.run(points, stages_of(experiment)[0].compute, **how)("{*}"):
                    stages = plan_experiment(experiment, points, {}, str(SESSIONS))
                    evaluate(experiment, finished(stages, **how), **how)
    return planned


def test_experiments_plan_the_key_of_every_record(records, monkeypatch):
    planned = planned_keys(monkeypatch)
    unplanned = [(r["function"], r["key"]) for r in records if (r["function"], r["key"]) not in planned]
    assert unplanned == []


CLASSES = {
    keys.lasting_name(kind): kind
    for found in pkgutil.iter_modules(jaxrobust.perturbations.__path__, "jaxrobust.perturbations.")
    for module in [importlib.import_module(found.name)]
    for kind in vars(module).values()
    if isinstance(kind, type)
}


def class_of(name):
    """A settings class by its lasting name, which is that of its module unless the class has moved since."""
    module, _, qualified = name.partition(":")
    return CLASSES[name] if name in CLASSES else getattr(importlib.import_module(module), qualified)


class Parent:
    """A result that another one was made from, by the name of its function and its key."""

    def __init__(self, parts):
        self.parts = tuple(parts)

    def __datajuicer_key__(self):
        return self.parts


def as_keyed(described):
    """The value that was keyed, from its description in a record; settings classes become objects again."""
    if isinstance(described, list) and described[:1] == ["parent"]:
        return Parent(described)
    if isinstance(described, dict) and "$dataclass" in described:
        name, fields = described["$dataclass"]
        return class_of(name)(**{field: as_keyed(value) for field, value in fields.items()})
    if isinstance(described, dict) and "$tuple" in described:
        return tuple(as_keyed(item) for item in described["$tuple"])
    return values.decode(described, {}, values.Artifact)


def test_the_dependencies_of_every_record_give_its_key(records):
    wrong = []
    for record in records:
        if record["function"] in ("train_point", "train_ticket", "train_stitch"):
            continue  # their settings nest classes that a description alone does not rebuild; planned above
        dependencies = {name: as_keyed(value) for name, value in record["dependencies"].items()}
        key = keys.result_key(record["function"], as_keyed(record["version"]), dependencies)
        if key != record["key"]:
            wrong.append((record["function"], record["key"]))
    assert wrong == []


def test_four_settings_classes_are_named_in_records_by_names_of_their_own(records):
    named = Counter(
        name
        for record in records
        if record["function"] in SHIPPED  # the first study's
        for value in record["dependencies"].values()
        if isinstance(value, dict) and "$dataclass" in value
        for name in names_in(value)
    )
    assert sum(1 for r in records if r["function"] == "perturbed_accuracy") == 28
    assert set(named) <= CLASSES.keys()
    assert {name.partition(":")[0] for name in named} == {"jaxrobust.robustness.perturbations"}


def names_in(described):
    name, fields = described["$dataclass"]
    inner = [f for f in fields.values() if isinstance(f, dict) and "$dataclass" in f]
    return [name, *(found for one in inner for found in names_in(one))]


def test_records_that_name_no_defaults_have_those_of_the_golden_file(records):
    golden = {name: {text.partition("?=")[0] for text in texts} for name, texts in EARLIER.items()}
    without = {"example_answers", "loss_spectrum", "mean_absolute_weights", "neuron_activity"}
    assert {r["function"] for r in records if "omitted" not in r} - golden.keys() <= without
    assert golden["phase_change_accuracy"] == {"n_samples", "clip"}
    assert family_named("cnn").train.earlier_defaults_described["model:warmup"] == 0.0
