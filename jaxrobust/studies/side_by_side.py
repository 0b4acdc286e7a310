"""Train grid points side by side as jobs of the engine: files, notes, progress and stops."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import jax

import datajuicer as dj
from jaxrobust import data
from jaxrobust.data.dataset import Dataset
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.network import Network
from jaxrobust.studies.device_notes import device_notes
from jaxrobust.training.checkpoints import save_tree
from jaxrobust.training.files import CHECKPOINT, kept_file, optimizer_file
from jaxrobust.training.loop import train
from jaxrobust.training.malloc import keep_freed_memory
from jaxrobust.training.methods.joining import join
from jaxrobust.training.training import (
    Trained,
    Training,
    TrainingDiverged,
    TrainingStopped,
    program_structure,
)

Result = TypeVar("Result")
PARAMETERS = "parameters"  # entries of a finished point
KEPT = "kept"
OPTIMIZER = "optimizer_states"  # by kept step, and under "last"
_FILE = "parameters.safetensors"


def dataset_of(point: Mapping[str, Any]) -> Dataset:
    """The data set of a grid point, prepared and memory-mapped."""
    return data.load(point["dataset"], split=point["split"] or None, folder=point.get("data_folder") or None)


def train_side_by_side(
    trainings: Sequence[Training], dataset: Dataset, jobs: Sequence[dj.Job]
) -> list[dict[str, Any] | Exception]:
    """Train models of one program, each with the folder of its job.

    Returns:
        For each the entries of its finished point (parameters as a file, validation accuracy, metrics over
        time, where its data came from), or the reason why it has none.

    Raises:
        Interrupted: A stop was requested; checkpoints are written.
    """
    return [
        result if isinstance(result, TrainingDiverged) else _finish(result, training, dataset, job)
        for result, training, job in zip(
            train_as_jobs(trainings, dataset, jobs), trainings, jobs, strict=True
        )
    ]


def train_as_jobs(
    trainings: Sequence[Training], dataset: Dataset, jobs: Sequence[dj.Job]
) -> list[Trained | TrainingDiverged]:
    """Train models as jobs, for studies that store something else of them.

    Models of one program train side by side, several programs one after the other.
    """
    keep_freed_memory()

    def stop_requested() -> bool:
        return any(job.stop_requested() for job in jobs)

    results: dict[int, Trained | TrainingDiverged] = {}
    for program in programs_of(trainings, join_methods=joining_pays(trainings[0].network)):
        of_program = [jobs[index] for index in program]
        for job in of_program:
            job.note(
                data_source=dataset.source,
                data_split=dataset.split,
                data_fingerprint=dataset.fingerprint,
                **device_notes(),
                models_in_program=len(program),
            )
        _report(of_program, 0, 0, "compiling …")
        try:
            trained = train(
                list(program.values()),
                dataset.train,
                dataset.validation,
                progress=partial(_report, of_program),
                stop_requested=stop_requested,
            )
        except TrainingStopped as stopped:
            raise dj.Interrupted(str(stopped)) from stopped
        results |= dict(zip(program, trained, strict=True))
    ordered = [results[index] for index in range(len(trainings))]
    for result, job in zip(ordered, jobs, strict=True):
        if isinstance(result, Trained):
            (job.folder / CHECKPOINT).unlink(missing_ok=True)
    return ordered


def preparing(jobs: Sequence[dj.Job]) -> None:
    """Report that jobs wait for their data, which may be downloaded and prepared now."""
    _report(jobs, 0, 0, "preparing data …")


def _report(jobs: Sequence[dj.Job], done: int, total: int, text: str) -> None:
    for job in jobs:
        job.progress(done, total, text)


def programs_of(trainings: Sequence[Training], *, join_methods: bool) -> list[dict[int, Training]]:
    """Divide trainings into programs: those of one structure, by their index.

    Args:
        trainings: One per model.
        join_methods: Whether parts that a method lacks are computed at weight zero where another has them
            (``methods.joining``), see ``joining_pays``.
    """
    if join_methods:
        methods = join([training.method for training in trainings])
        trainings = [replace(t, method=method) for t, method in zip(trainings, methods, strict=True)]
    programs: dict[Hashable, dict[int, Training]] = {}
    for index, training in enumerate(trainings):
        programs.setdefault(program_structure(training), {})[index] = training
    return list(programs.values())


def joining_pays(network: Network) -> bool:
    """Whether methods should be joined here: where many more models take little longer than one.

    On an H200, 16 spiking networks take 2.5 times as long as one, but 12 CNNs ten times: with an attack of
    weight zero, their standard training would take twelve times as long.
    """
    return jax.default_backend() != "cpu" and isinstance(network, LSNN)


def only(results: Sequence[Result | Exception]) -> Result:
    """Return the one result there is, or raise the reason why there is none."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def _finish(trained: Trained, training: Training, dataset: Dataset, job: dj.Job) -> dict[str, Any]:
    save_tree(job.folder / _FILE, (trained.parameters, trained.statistics))
    kept = {str(step): job.artifact(kept_file(step)) for step in trained.kept}
    states = {}
    if training.keep_optimizer:
        states = {str(step): job.artifact(optimizer_file(step)) for step in trained.kept}
        states["last"] = job.artifact(optimizer_file())
    return {
        "trained": job.key,
        PARAMETERS: job.artifact(_FILE),
        **({KEPT: kept} if kept else {}),
        **({OPTIMIZER: states} if states else {}),
        "validation_accuracy": trained.validation_score,
        "best_step": trained.best_step,
        "n_steps": trained.n_steps,
        "history": trained.history,
        "data_source": dataset.source,
        "data_is_synthetic": dataset.synthetic,
        "n_test_samples": len(dataset.test.labels),
    }
