"""Whose code a result depends on: what is compared when a stored result is read.

For a training: the classes that the point's own settings name (network, method with its attack and
perturbation, optimizer, augmentation), the reader of its data, and the training loop. For an evaluation: the
evaluation, the network, the reader of the data, and the perturbation or attack among its arguments. Helpers
count where these reach them by name in ``WITHIN``. Settings, error messages, checkpoints, figures and command
lines do not count, nor does where a module lies.

To make more code count, list it here; results from before are then reported as made by earlier code.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jaxrobust import data
from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network
from jaxrobust.studies.parameter_noise.recipes import method_of, optimizer_of
from jaxrobust.training.augmentation import augmentation_named
from jaxrobust.training.loop import train
from jaxrobust.training.schedule import Schedule
from jaxrobust.training.training import Training

WITHIN = (
    "jaxrobust.attacks",
    "jaxrobust.certificates",
    "jaxrobust.criteria",
    # Readers, not the table of all data sets, through which a network that asks for shapes would reach them.
    "jaxrobust.data.dataset",
    "jaxrobust.data.ecg",
    "jaxrobust.data.images",
    "jaxrobust.data.own",
    "jaxrobust.data.sampling",
    "jaxrobust.data.speech",
    "jaxrobust.layers",
    "jaxrobust.losses",
    "jaxrobust.measures",
    "jaxrobust.networks",
    "jaxrobust.numerics",
    "jaxrobust.path_rules",
    "jaxrobust.perturbations",
    "jaxrobust.pruning",
    "jaxrobust.studies.evaluations",
    "jaxrobust.studies.sparse_tickets",
    "jaxrobust.training.augmentation",
    "jaxrobust.training.batches",
    "jaxrobust.training.compilation",
    "jaxrobust.training.loop",
    "jaxrobust.training.methods",
    "jaxrobust.training.optimizers.adam",
    "jaxrobust.training.optimizers.block_coordinate",
    "jaxrobust.training.optimizers.entropy_sgd",
    "jaxrobust.training.optimizers.optimizer",
    "jaxrobust.training.optimizers.projections",
    "jaxrobust.training.optimizers.sgd",
    "jaxrobust.training.placement",
    "jaxrobust.training.program",
    "jaxrobust.training.trainable",
    "jaxrobust.training.training",
    "jaxrobust.trees",
)
LOOP = (train, Training, Schedule)

Settings = Mapping[str, Any]
BuildNetwork = Callable[[Settings, Dataset], Network]


# Which classes settings name follows from their words and from which numbers are 0.
_known: dict[Any, tuple[Any, ...]] = {}


def training_code(build: BuildNetwork, names: Iterable[str], model: Settings) -> tuple[Any, ...]:
    """The objects whose code counts for training a grid point; the loop alone if its settings are not valid.

    Args:
        build: Builds the network of a grid point.
        names: All its settings.
        model: The grid point.
    """

    def parts() -> list[Any]:
        blank = data.blank(model["dataset"], split=model["split"] or None)
        augmentation = augmentation_named(model["augmentation"], blank.train.inputs.ndim)
        return [build(model, blank), method_of(model), optimizer_of(model), augmentation, *reader_of(model)]

    return _once(build, names, model, parts, LOOP)


def _once(
    owner: Any,
    names: Iterable[str],
    model: Settings,
    parts: Callable[[], list[Any]],
    always: tuple[Any, ...],
) -> tuple[Any, ...]:
    named = [v if isinstance(v, str | bool | tuple) else bool(v) for v in map(model.get, names)]
    key = (owner, *named)
    try:
        if key not in _known:
            _known[key] = (*always, *parts())
        return _known[key]
    except (InputError, KeyError, TypeError):
        return always  # the call itself raises the same, with a sentence


def evaluation_code(
    function: Callable[..., Any],
    build: BuildNetwork,
    names: Iterable[str],
    model: Settings,
    arguments: Mapping[str, Any],
) -> tuple[Any, ...]:
    """The objects whose code counts for an evaluation of a grid point.

    Args:
        function: The evaluation.
        build: Builds the network of a grid point.
        names: All settings of the grid point.
        model: The grid point.
        arguments: The other arguments of the evaluation, by name.
    """

    def parts() -> list[Any]:
        blank = data.blank(model["dataset"], split=model["split"] or None)
        return [build(model, blank), *reader_of(model)]

    found = _once(function, names, model, parts, (function,))
    others = [value for value in arguments.values() if not isinstance(value, int | float | str)]
    return (*found, *others) if others else found


def reader_of(model: Settings) -> Iterator[Any]:
    """What makes the arrays of a data set from its files."""
    if (recipe := data.DATASETS.get(model.get("dataset", ""))) is not None:
        yield recipe.build
