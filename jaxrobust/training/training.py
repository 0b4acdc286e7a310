"""One model to be trained, what becomes of it, and what models must have in common to share a program."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrobust.attacks.ascent import Keep
from jaxrobust.criteria import Criterion, CrossEntropy
from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Statistics, Variables
from jaxrobust.training.augmentation import Augmentation
from jaxrobust.training.methods import Method
from jaxrobust.training.optimizers import Memory, Optimizer, optimizer_named
from jaxrobust.training.probes import Probes
from jaxrobust.training.program import Hyperparameters, TrainState, initial_state
from jaxrobust.training.schedule import Schedule
from jaxrobust.training.trainable import Trainable
from jaxrobust.trees import Parameters

Tree = TypeVar("Tree")


class Seeds(NamedTuple):
    """Seeds that differ from the training's one; None for the same.

    Attributes:
        start: Of the parameters.
        order: Of the order of the data.
        draws: Of all that steps draw: starts of attacks, noise, dropout, augmentation; and of the probes.
    """

    start: int | None = None
    order: int | None = None
    draws: int | None = None


@dataclass(frozen=True)
class Training:
    """One model to be trained.

    Attributes:
        network: The network.
        method: The training method.
        schedule: Epochs and learning rates.
        optimizer: The optimizer, or its name in ``optimizers.OPTIMIZERS``.
        batch_size: Samples per step.
        seed: Seed of the parameters, the order of the data and all that the method draws.
        eval_step_interval: Steps between validations.
        folder: Where checkpoints, metrics and kept parameters go.
        augmentation: What changes the training batches, if anything.
        criterion: The loss of a batch, and the metric of the validation.
        start: What training starts from, for fine-tuning or rewinding; None for fresh parameters.
        start_optimizer: The optimizer's state at the start, as ``load_tree`` reads it; None for that at rest.
        trainable: Path rules of what is trained, as ``((".*bn.*", False), (".*", True))``; none: everything.
        keep: The parameters of the ``"best"`` validation or of the ``"last"`` step.
        keep_steps: Steps whose parameters are kept as well; 0 is the start.
        keep_optimizer: Whether the optimizer's state is kept too, that of the last step and of
            ``keep_steps``, so that another training can go on from it.
        probes: What else is measured while training.
        seeds: Seeds that differ from ``seed``.

    Raises:
        InputError: A batch, an interval or a step out of range, or a word that names no optimizer or rule.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> from pathlib import Path
        >>> training = jr.Training(
        ...     network=jr.MLP(n_in=4, n_hidden=(8,), n_out=2),
        ...     method=jr.methods.Standard(),
        ...     schedule=jr.Phases(n_epochs=(2.0,), learning_rates=(1e-2,)),
        ...     optimizer="adam",
        ...     batch_size=10,
        ...     seed=0,
        ...     eval_step_interval=5,
        ...     folder=Path("runs/first"),
        ... )
        >>> training.keep
        'best'
    """

    network: Network
    method: Method
    schedule: Schedule
    optimizer: Optimizer | str
    batch_size: int
    seed: int
    eval_step_interval: int
    folder: Path
    augmentation: Augmentation | None = None
    criterion: Criterion = CrossEntropy()
    start: Variables | None = field(default=None, compare=False)
    start_optimizer: Memory | None = field(default=None, compare=False)
    trainable: tuple[tuple[str, bool], ...] = ()
    keep: Keep = "best"
    keep_steps: tuple[int, ...] = ()
    keep_optimizer: bool = False
    probes: Probes = Probes()
    seeds: Seeds = Seeds()

    def __post_init__(self):
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", optimizer_named(self.optimizer))
        if self.batch_size < 1 or self.eval_step_interval < 1:
            raise InputError(
                f"batch_size ({self.batch_size}) and eval_step_interval ({self.eval_step_interval}) must be "
                f"at least 1."
            )
        if self.keep not in get_args(Keep):
            raise InputError(f'A training keeps its "best" or its "last" parameters, not {self.keep!r}.')
        if any(step < 0 for step in self.keep_steps):
            raise InputError(f"keep_steps must be steps from 0 on, not {self.keep_steps}.")


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        parameters: Those of the validation with the highest score, or the last ones, as ``keep`` says.
        statistics: The running statistics that belong to them.
        validation_score: Their score on the validation set: accuracy, if the criterion is one for classes.
        best_step: The step they were reached at.
        n_steps: All steps taken.
        history: Metrics over time, as in the metrics file; None where one was not measured.
        kept: Parameters and statistics after each of ``keep_steps``.
    """

    parameters: Parameters
    statistics: Statistics
    validation_score: float
    best_step: int
    n_steps: int
    history: dict[str, list]
    kept: dict[int, Variables] = field(default_factory=dict)


class TrainingDiverged(RuntimeError):
    """The loss of a training, or one of its parameters, is no longer a finite number."""


class TrainingStopped(Exception):
    """Training was asked to stop; its checkpoint is written."""


def hyperparameters_of(training: Training) -> Hyperparameters:
    """Everything that may differ between models of one program, its numbers as arrays."""
    settings = (training.method, training.optimizer, training.augmentation, training.criterion)
    method, optimizer, augmentation, criterion = jax.tree.map(jnp.float32, settings)
    trainable = Trainable(tuple(training.trainable))
    return Hyperparameters(_key_of_steps(training), method, optimizer, augmentation, criterion, trainable)


def start_of(training: Training) -> TrainState:
    """The state of a training before its first step.

    Raises:
        InputError: The given start does not fit the network, or the optimizer's state the optimizer.
    """
    seed = training.seed if training.seeds.start is None else training.seeds.start
    key, _ = jax.random.split(jax.random.key(seed))
    if training.start is None:
        variables = training.network.init(key)
    else:
        variables = Variables(*training.start)
        expected = Variables(*jax.eval_shape(training.network.init, key))
        variables = _fitting(variables, expected, "start", "the network")
    assert not isinstance(training.optimizer, str)
    state = initial_state(variables, training.optimizer, Trainable(tuple(training.trainable)))
    if training.start_optimizer is None:
        return state
    memory = _fitting(training.start_optimizer, state.optimizer_state, "optimizer state", "the optimizer")
    return state._replace(optimizer_state=memory)


def order_seed(training: Training) -> int:
    """The seed of the order of the data."""
    return training.seed if training.seeds.order is None else training.seeds.order


def program_structure(training: Training) -> tuple[tuple[str, Hashable], ...]:
    """What trainings must have in common to train in one program, as a hashable value.

    It is read off the training as it is built: the network, the structure of its settings trees (classes,
    static fields, shapes of arrays) and its numbers of steps. Learning rates, seeds and all numbers of
    methods, optimizers, criteria and probes may differ. ``repr`` of it is the same in every process if the
    ``repr`` of the network and of static fields is.
    """
    settings = {
        "method": training.method,
        "optimizer": training.optimizer,
        "augmentation": training.augmentation,
        "criterion": training.criterion,
        "probes": dict(training.probes.measurements),
    }
    return (
        ("network", training.network),
        ("schedule", _length(training.schedule)),
        ("batch_size", training.batch_size),
        ("eval_step_interval", training.eval_step_interval),
        ("trainable", tuple(training.trainable)),
        ("keep_steps", tuple(sorted(training.keep_steps))),
        ("interval of probes", (training.probes.step_interval, training.probes.n_samples)),
        *((name, _structure(tree)) for name, tree in settings.items()),
    )


def check_one_program(trainings: Sequence[Training]) -> None:
    """Raise ``InputError`` for trainings that cannot share a program, naming what differs."""
    first = program_structure(trainings[0])
    for other in trainings[1:]:
        for (name, one), (_, another) in zip(first, program_structure(other), strict=True):
            if one != another:
                raise InputError(
                    f"Models that train in one program must share their kind of {name}, but one has "
                    f"{getattr(trainings[0], name, one)} and another {getattr(other, name, another)}; "
                    f"train them one by one."
                )


def _length(schedule: Schedule) -> Hashable:
    # Steps that do not depend on the data are the same for any data set.
    return schedule.n_steps(1, 1) if schedule.n_epochs is None else schedule.n_epochs


def _structure(tree: Any) -> tuple[Hashable, ...]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(np.shape(leaf) for leaf in leaves)


def _key_of_steps(training: Training) -> Array:
    seed = training.seed if training.seeds.draws is None else training.seeds.draws
    return jax.random.split(jax.random.key(seed))[1]


def _fitting(start: Tree, expected: Tree, name: str, owner: str) -> Tree:
    described = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), expected)
    given = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), start)
    if jax.tree.structure(start) != jax.tree.structure(expected) or given != described:
        raise InputError(f"The given {name} does not fit {owner}: it needs arrays {described}, not {given}.")
    return jax.tree.map(jnp.array, start)
