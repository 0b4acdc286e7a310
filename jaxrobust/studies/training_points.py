"""The training of typed grid points, which every study but the first shares.

A typed point holds what is trained, and how, as values: a network, a method, an optimizer, a schedule. All of
them make up its key, and dotted words of the command line reach into them (``-method.attack.size=0.03``)::

    point = training_point(MLP(784, (64,), 10), "mnist", schedule=Phases((5.0,), (1e-3,)))
    points = dj.run(dj.split([point], "seed", [0, 1]), "train", store_key="*")("{*}")
    network, variables, inputs, labels = load_trained(points[0])

Its result joins the point: ``parameters`` (a file), ``validation_accuracy``, ``history`` and the others of
``train``. Evaluations of trained points take it like those of the first study.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax

import datajuicer as dj
from jaxrobust import data
from jaxrobust.attacks.ascent import Keep
from jaxrobust.criteria import Criterion, CrossEntropy
from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Variables
from jaxrobust.registry import ensure_trees
from jaxrobust.studies.side_by_side import (
    KEPT,
    OPTIMIZER,
    PARAMETERS,
    dataset_of,
    only,
    preparing,
    train_side_by_side,
)
from jaxrobust.studies.sources import LOOP, WITHIN, reader_of
from jaxrobust.training.augmentation import Augmentation
from jaxrobust.training.checkpoints import load_tree
from jaxrobust.training.methods import Method, Standard
from jaxrobust.training.optimizers import Adam, Memory, Optimizer
from jaxrobust.training.probes import Probes
from jaxrobust.training.schedule import Schedule
from jaxrobust.training.trainable import Trainable
from jaxrobust.training.training import Seeds, Training, program_structure

SETTINGS = (
    "network",
    "dataset",
    "split",
    "method",
    "optimizer",
    "schedule",
    "batch_size",
    "seed",
    "seeds",
    "eval_step_interval",
    "augmentation",
    "criterion",
    "trainable",
    "keep",
    "keep_steps",
    "probes",
    "start",
    "start_step",
)
# Omitted from the key at its default, so that results computed before the setting existed stay valid.
KEEP_OPTIMIZER = "keep_optimizer"


@runtime_checkable
class BuildsNetwork(Protocol):
    """A description that becomes a network once the data are known: a frozen dataclass."""

    def build(self, shape: tuple[int, ...], n_classes: int) -> Network:
        """Return the network for samples of a shape; raises ``InputError`` if they do not fit."""
        ...


def training_point(
    network: Network | BuildsNetwork,
    dataset: str,
    *,
    schedule: Schedule,
    split: str = "",
    method: Method = Standard(),  # noqa: B008 - frozen
    optimizer: Optimizer = Adam(),  # noqa: B008
    batch_size: int = 100,
    seed: int = 0,
    seeds: Seeds = Seeds(),  # noqa: B008
    eval_step_interval: int = 500,
    augmentation: Augmentation | None = None,
    criterion: Criterion = CrossEntropy(),  # noqa: B008
    trainable: tuple[tuple[str, bool], ...] = (),
    keep: Keep = "best",
    keep_steps: tuple[int, ...] = (),
    keep_optimizer: bool = False,
    probes: Probes = Probes(),  # noqa: B008
    start: Mapping[str, Any] | None = None,
    start_step: int | None = None,
    data_folder: str = "",
) -> dict[str, Any]:
    """A grid point that ``train`` trains.

    Args:
        network: The network, or what builds it for the shape of the samples and the number of classes.
        dataset: Name of the data set, or the path of your own.
        schedule: Epochs and learning rates.
        split: Name of its split; empty for the default.
        method: The training method.
        optimizer: The optimizer.
        batch_size: Samples per step.
        seed: Seed of all that is random.
        seeds: Seeds that differ from ``seed``.
        eval_step_interval: Steps between validations.
        augmentation: What changes the training batches, if anything.
        criterion: The loss of a batch, and the metric of the validation.
        trainable: Path rules of what is trained; none: everything.
        keep: The parameters of the ``"best"`` validation or of the ``"last"`` step.
        keep_steps: Steps whose parameters are kept as well; 0 is the start.
        keep_optimizer: Whether the optimizer's state of these steps and of the last is kept too.
        probes: What else is measured while training.
        start: An earlier point, planned or finished, whose parameters the training starts from.
        start_step: Which of the start's ``keep_steps``; None for the parameters that it ended with.
        data_folder: Where the files of the data set are looked for first; no part of the key.

    Raises:
        InputError: A setting is no such thing, as ``check_point`` says.
    """
    point = {
        "network": network,
        "dataset": data.identify(dataset),
        "split": split,
        "method": method,
        "optimizer": optimizer,
        "schedule": schedule,
        "batch_size": batch_size,
        "seed": seed,
        "seeds": seeds,
        "eval_step_interval": eval_step_interval,
        "augmentation": augmentation,
        "criterion": criterion,
        "trainable": trainable,
        "keep": keep,
        "keep_steps": keep_steps,
        KEEP_OPTIMIZER: keep_optimizer,
        "probes": probes,
        "start": start,
        "start_step": start_step,
        "data_folder": data_folder,
        "train": train,
    }
    check_point(point)
    return point


def check_point(point: Mapping[str, Any]) -> None:
    """Check a typed point without touching any data.

    Raises:
        InputError: A setting is missing or no such thing, or the data set or split does not exist.
    """
    if missing := [name for name in SETTINGS if name not in point]:
        raise InputError(f"The grid point lacks {', '.join(missing)}; make it with training_point(...).")
    for name, members, such_as in (
        ("network", (("init", "forward"), ("build",)), "MLP(784, (64,), 10) or LinenNetwork(module, shape)"),
        ("method", (("loss",),), "Standard()"),
        ("optimizer", (("init", "step"),), "Adam()"),
        ("schedule", (("n_steps", "rates"),), "Phases((5.0,), (1e-3,))"),
        ("criterion", (("loss", "score"),), "CrossEntropy()"),
    ):
        value = point[name]
        if isinstance(value, type) or not any(all(hasattr(value, m) for m in group) for group in members):
            raise InputError(f"{name} must be an object such as {such_as}, not {value!r}.")
        if name in ("method", "criterion"):
            ensure_trees(value, name)
    start, step = point["start"], point["start_step"]
    if start is not None and not isinstance(start, Mapping):
        raise InputError(f"start must be an earlier grid point or None, not {type(start).__name__}.")
    if step is not None:
        kept = tuple((start or {}).get("keep_steps", ()))
        if step not in kept:
            raise InputError(
                f"start_step is {step}, but the start keeps {kept or 'no'} steps; name it in its keep_steps."
            )
    data.check_identified(point["dataset"])
    network_of(point, data.blank(point["dataset"], split=point["split"] or None))


def network_of(point: Mapping[str, Any], dataset: Dataset) -> Network:
    """The network of a typed point for its data."""
    network = point["network"]
    if isinstance(network, BuildsNetwork):
        return network.build(dataset.train.inputs.shape[1:], len(dataset.classes))
    return network


@lru_cache(maxsize=1024)
def _distinct(*parts: Any) -> tuple[Any, ...]:
    return parts  # equal parts are the same tuple, which the engine asks about once


def code_of(model: Mapping[str, Any]) -> tuple[Any, ...]:
    """Whose code the training of a typed point depends on."""
    names = ("network", "method", "optimizer", "augmentation", "criterion", "schedule", "probes")
    parts = (*LOOP, *(model.get(name) for name in names), *reader_of(model))
    try:
        return _distinct(*parts)
    except TypeError:  # a setting that holds arrays
        return parts


def evaluation_code_of(
    function: Any, model: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Whose code an evaluation of a typed point depends on."""
    others = [value for value in arguments.values() if not isinstance(value, int | float | str)]
    criterion = model.get("criterion")
    if criterion is not None and not criterion.is_classification:  # whose score is the metric
        others.append(criterion)
    parts = (function, model.get("network"), *reader_of(model), *others)
    try:
        return _distinct(*parts)
    except TypeError:
        return parts


def program_of(model: Mapping[str, Any]) -> str:
    """What points must have in common to train in one program."""
    blank = data.blank(model["dataset"], split=model["split"] or None)
    training = training_of(model, network_of(model, blank), Path(), start=None)
    return repr((model["dataset"], model["split"], model.get("data_folder", ""), program_structure(training)))


def train_together(model: list[dict[str, Any]], job: list[dj.Job]) -> list[dict[str, Any] | Exception]:
    """Train typed points of one program side by side; see ``train``."""
    for point in model:
        check_point(point)
    preparing(job)
    dataset = dataset_of(model[0])
    network = network_of(model[0], dataset)
    trainings = [
        training_of(point, network, its_job.folder) for point, its_job in zip(model, job, strict=True)
    ]
    return train_side_by_side(trainings, dataset, job)


def training_of(point: Mapping[str, Any], network: Network, folder: Path, **changed: Any) -> Training:
    """The training of a typed point; ``changed`` replaces settings that a study computes."""
    names = [field.name for field in fields(Training) if field.name in SETTINGS]
    settings = {name: point[name] for name in names if name not in ("network", "start")}
    settings[KEEP_OPTIMIZER] = point.get(KEEP_OPTIMIZER, False)
    if "start" not in changed:
        changed["start"] = _start(point, network)
    return Training(network=network, folder=folder, **settings | changed)


def _start(point: Mapping[str, Any], network: Network) -> Variables | None:
    start = point["start"]
    return None if start is None else load_variables(start, network, point["start_step"])


def check_trained(point: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for a point without a result."""
    if PARAMETERS not in point:
        raise InputError(
            "The grid point holds no trained parameters; train it first with "
            'run(grid, "train", store_key="*")("{*}").'
        )


def load_variables(point: Mapping[str, Any], network: Network, step: int | None = None) -> Variables:
    """Load parameters and statistics of a finished point.

    Args:
        point: A finished point.
        network: Its network, or one whose parameters have the same names and shapes.
        step: One of the ``keep_steps``; None for those the training ended with.

    Raises:
        InputError: The point is not trained or did not keep the step; the network is another one.
    """
    check_trained(point)
    kept = point.get(KEPT, {})
    if step is not None and str(step) not in kept:
        raise InputError(f"The training kept the steps {', '.join(kept) or 'none'}, but not {step}.")
    like = Variables(*jax.eval_shape(network.init, jax.random.key(0)))
    if step is not None:
        return load_tree(kept[str(step)].path(), like=like)[0]
    return Variables(*load_tree(point[PARAMETERS].path(), like=tuple(like))[0])


def load_optimizer(
    point: Mapping[str, Any], network: Network, optimizer: Optimizer, step: int | None = None
) -> Memory:
    """Load the optimizer's state of a finished point with ``keep_optimizer``.

    Args:
        point: A finished point.
        network: Its network.
        optimizer: Its optimizer.
        step: One of the ``keep_steps``; None for the last.

    Raises:
        InputError: The point is not trained or did not keep the state.
    """
    check_trained(point)
    states, name = point.get(OPTIMIZER, {}), "last" if step is None else str(step)
    if name not in states:
        raise InputError(
            f"The training kept no optimizer state of step {name}; train it with keep_optimizer=True."
        )
    trainable = Trainable(tuple(point["trainable"]))
    like = jax.eval_shape(
        lambda key: optimizer.init(trainable.split(network.init(key)[0])[0]), jax.random.key(0)
    )
    return load_tree(states[name].path(), like=like)[0]


@dj.cachable(
    dependencies=[*(f"model:{name}" for name in SETTINGS), f"model:{KEEP_OPTIMIZER}?=False"],
    table_name="train_point",
    batched=train_together,
    group=program_of,
    code_of=code_of,
    code_within=WITHIN,
)
def train(model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
    """Train one typed point.

    Returns:
        ``trained`` (its key), ``parameters`` and ``kept`` (files), ``validation_accuracy``, ``best_step``,
        ``n_steps``, ``history`` (metrics over time), ``data_source``, ``data_is_synthetic`` and
        ``n_test_samples``.
    """
    return only(train_together([model], [job]))
