"""What train.py does once its words are read: plan, look or compute, and say what came of it."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

# Workers and later runs share compiled programs; to be set before JAX starts.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(platformdirs.user_cache_path("jaxrobust") / "compiled")
)


from jaxrobust import data
from jaxrobust.cli import on_cluster
from jaxrobust.cli.cluster_words import ARRAYS
from jaxrobust.cli.computing import compute_and_evaluate
from jaxrobust.cli.counts import ids_of
from jaxrobust.cli.estimate import may_start
from jaxrobust.cli.experiments import (
    Experiment,
    configured,
    grid_of,
    is_done,
    load_experiments,
    plan_experiment,
    protocols_of,
)
from jaxrobust.cli.imports import import_files
from jaxrobust.cli.listing import show_costs
from jaxrobust.cli.positions import describe_positions
from jaxrobust.cli.status import report
from jaxrobust.cli.stores import store_of
from jaxrobust.cli.verifying import verify
from jaxrobust.cli.words import PROTOCOLS, Words, describe_settings
from jaxrobust.errors import InputError, unused_gpu
from jaxrobust.settings import no_such
from jaxrobust.studies.availability import with_available_data
from jaxrobust.studies.own_points import (
    described_settings,
    own_point,
    settings_by_path,
    typed_networks,
)
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, family_named
from jaxrobust.studies.stages import PlannedStage, side_by_side
from jaxrobust.training.malloc import keep_freed_memory

Grid = list[dict[str, Any]]
Plans = dict[str, list[PlannedStage]]  # the stages of experiments by name


@dataclass(frozen=True)
class Command:
    """The words of a command and the experiments that they name.

    Attributes:
        words: The words.
        experiments: By name; none with -arch.
        notice: Says something once.
    """

    words: Words
    experiments: dict[str, Experiment]
    notice: Callable[[str], None]

    def grids(self, protocol: str) -> dict[str, Grid]:
        """The first grid of each experiment, or that of -arch, under a protocol."""
        if name := self.words.options["arch"]:
            return {name: _one_network(name, self.words.settings)}
        settings, kept = self.words.settings, self.words.options["only"]
        is_typed = bool(self.words.options["protocol"])
        return {
            name: grid_of(experiment, protocol, settings, kept)
            for name, experiment in self.experiments.items()
            if is_typed or protocol in (*PROTOCOLS, *protocols_of(experiment))
        }

    def planned(self, grids: Mapping[str, Grid]) -> Plans:
        """The stages of each experiment from its first grid."""
        settings, store = self.words.settings, store_of(self.words.options)
        return {
            name: plan_experiment(self.experiments.get(name, _ONE_NETWORK), grid, settings, store)
            for name, grid in grids.items()
        }

    def stages_of(self, name: str, protocol: str) -> list[PlannedStage]:
        """The stages of one experiment under a protocol, whether its data are there or not."""
        alone = replace(self, experiments={name: self.experiments[name]})
        return alone.planned(alone.grids(protocol))[name]

    def with_data(self, protocol: str) -> Plans:
        """The stages under a protocol, on stand-ins where data are needed and cannot be had."""
        grids = self.grids(protocol)
        needs_data = self._needing_data(self.planned(grids))
        trained = [name for name in grids if name in needs_data and all("dataset" in p for p in grids[name])]
        points = [point for name in trained for point in grids[name]]
        how = {
            "download": not self.is_looking,
            "stand_ins": data.REAL_STAND_INS if protocol == "full" else data.STAND_INS,
        }
        found = iter(with_available_data(points, notice=self.notice, **how))
        grids = {
            name: [next(found) for _ in grid] if name in trained else grid for name, grid in grids.items()
        }
        return self.planned(grids)

    @property
    def is_looking(self) -> bool:
        """Whether nothing is to be computed."""
        options = self.words.options
        return options["status"] or options["cancel"] or options["print_script"]

    def _needing_data(self, plans: Plans) -> set[str]:
        """The experiments that need their data; results that are there need none."""
        if self.words.options["force"] or self.words.options["verify"]:
            return set(plans)
        evaluated = {} if self.is_looking else self.experiments
        store = store_of(self.words.options)
        return {name for name, stages in plans.items() if not is_done(stages, evaluated.get(name), store)}

    def under_each_protocol(self, plan: Callable[[str], Plans]) -> dict[str, Plans]:
        """Plans under the protocol that was typed, or under each that the experiments have.

        Protocols that mean the same models are named once, those under which -only leaves none not at all.

        Args:
            plan: Plans the experiments under a protocol.

        Raises:
            InputError: Nothing can be planned under any.
        """
        if chosen := self.words.options["protocol"]:
            return {chosen: plan(chosen)}
        names = [name for experiment in self.experiments.values() for name in protocols_of(experiment)]
        found: dict[frozenset[tuple[str, str]], tuple[str, Plans]] = {}
        errors: list[InputError] = []
        for name in dict.fromkeys(names) or ["published"]:
            try:
                plans = plan(name)
            except InputError as error:
                errors.append(error)
                continue
            found.setdefault(ids_of(side_by_side(plans.values())), (name, plans))
        if not found:
            raise errors[0]
        return dict(found.values())


def compute(words: Words, folder: Path) -> int:
    """Do what the words of train.py say; return the exit status.

    Raises:
        InputError: Words that are wrong.
        UsageError: The same, of what belongs to the engine.
    """
    keep_freed_memory()
    options = words.options
    import_files(options["import"])
    experiments = {} if options["arch"] else load_experiments(options["exp"], folder)
    command = Command(words, experiments, _once())
    if options["help"] or options["list"] or options["status"] or options["positions"]:
        _look(command, folder)
        return 0
    plans = command.with_data(options["protocol"] or "published")
    stages = side_by_side(plans.values())
    if options["cancel"]:
        return on_cluster.end(stages, options)
    trains_missing = not (options["print_script"] or options["verify"])
    if trains_missing and not may_start(stages, options):
        print("Nothing was started.", file=sys.stderr)
        return 1
    if options["mode"] in ARRAYS:
        label = options["arch"] or "+".join(options["exp"]) or "all"
        return on_cluster.send(stages, label, options)
    if gpu := unused_gpu():
        _notice(gpu)
    if options["verify"]:
        return verify(plans, experiments or {options["arch"]: _ONE_NETWORK}, words)
    return compute_and_evaluate(stages, experiments, plans, words)


def _look(command: Command, folder: Path) -> None:
    """Show the settings of a network, what things cost, what is done, or where networks can be cut."""
    options = command.words.options
    if options["help"]:
        (point,) = _one_network(options["arch"], command.words.settings)
        print(describe_settings(f"{options['arch']}: {point['network']!r}", described_settings(point)))
        return
    if options["positions"]:
        print(describe_positions(command.grids(options["protocol"] or "published")))
        return
    if options["list"]:
        show_costs(command.stages_of, command.experiments, folder, options)
        return
    plans = command.under_each_protocol(command.with_data)
    report({name: side_by_side(its.values()) for name, its in plans.items()}, options)


def _one_network(name: str, settings: dict[str, str]) -> Grid:
    """The grid of -arch: one point of the library's networks, or of one that the user registered."""
    typed = typed_networks()
    if name in FAMILIES and name not in typed:
        return configured([family_named(name).make()], settings)
    if name not in typed:
        raise InputError(no_such("architecture", name, (*FAMILIES, *typed)))
    words = settings_by_path(name, settings)
    return configured([own_point(name, words.pop("dataset", ""))], words)


class _OneNetwork:
    """What -arch trains: an experiment of one stage."""

    def train_grid(self) -> Grid:
        return []

    def visualize(self, grid: Grid, folder: Path) -> list[Path]:
        return []


_ONE_NETWORK = _OneNetwork()


def _notice(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _once() -> Callable[[str], None]:
    """A notice that is said once, however many protocols meet it."""
    said: set[str] = set()

    def notice(text: str) -> None:
        if text not in said:
            said.add(text)
            _notice(text)

    return notice
