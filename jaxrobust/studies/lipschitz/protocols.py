"""Methods, data sets and schedules of the comparison of Lipschitz networks (Li et al. 2019)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datajuicer as dj
from jaxrobust import data
from jaxrobust.criteria import Hinge
from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import (
    AOL,
    BCOP,
    L2NE,
    OSSN,
    RKO,
    SLL,
    SOC,
    Cayley,
    Parameterization,
    Unconstrained,
)
from jaxrobust.networks.lipschitz import Layout, LipschitzNetwork, clipped_images
from jaxrobust.settings import nearest
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.augmentation import Augmentation, Crop, Flip, InTurn
from jaxrobust.training.optimizers import Adam, Projected
from jaxrobust.training.optimizers.convolution_projection import SingularValuesOfConvolutions
from jaxrobust.training.schedule import Exponential

# Published: Adam at 1e-3, batches of 128, 200 epochs, the rate divided by ten every sixty, five seeds.
N_EPOCHS = 200
LEARNING_RATE = 1e-3
BATCH_SIZE = 128
SEEDS = (0, 1, 2, 3, 4)
# Training steps between projections (SVCM).
STEPS_PER_PROJECTION = 100

PARAMETERIZATIONS: dict[str, Parameterization] = {
    "BCOP": BCOP(),
    "RKO": RKO(),
    "OSSN": OSSN(),
    "SVCM": Unconstrained(),
    "RK-L2NE": L2NE(),
    "BCOP-Fixed": BCOP(),
    "Cayley": Cayley(),
    "SOC": SOC(),
    "AOL": AOL(),
    "SLL": SLL(),
}
PUBLISHED_METHODS = ("BCOP", "RKO", "OSSN", "SVCM", "RK-L2NE", "BCOP-Fixed")


def parameterization(method: str) -> Parameterization:
    """Return the parameterization of a method.

    Raises:
        InputError: There is no such method.
    """
    if method not in PARAMETERIZATIONS:
        raise InputError(
            f"There is no method {method!r}; there are {', '.join(PARAMETERIZATIONS)}."
            f"{nearest(method, PARAMETERIZATIONS)}"
        )
    return PARAMETERIZATIONS[method]


@dataclass(frozen=True)
class Task:
    """A data set with its radii.

    Attributes:
        dataset: Its name; pixels lie in [0, 1], so that radii are in units of pixels.
        training_radius: The hinge loss asks for ``sqrt(2)`` times this margin.
        radius: At which accuracy is certified and attacked.
        augmentation: Of the training batches.
    """

    dataset: str
    training_radius: float
    radius: float
    augmentation: Augmentation | None = None


TASKS = {
    "mnist": Task("mnist", 1.5, 1.58),
    "cifar10": Task("cifar10", 0.5, 36 / 255, InTurn((Crop(4), Flip()))),
    "digits": Task("digits", 0.5, 0.5),
}


def comparison(
    task: Task,
    layouts: Sequence[Layout],
    methods: Sequence[str],
    *,
    seeds: Sequence[int] = SEEDS,
    n_epochs: float = N_EPOCHS,
    batch_size: int = BATCH_SIZE,
    eval_step_interval: int = 400,
    decay: float | None = None,
) -> list[dict[str, Any]]:
    """Return points for every layout, method and seed, with ``layout``, ``parameterization`` and ``radius``.

    Networks without convolutions (``"fc"``) are all alike and stand once, as ``"FC"``.

    Args:
        task: The data with their radii.
        layouts: Sizes of the networks.
        methods: How their kernels are made.
        seeds: Of the networks.
        n_epochs: Length of the training.
        batch_size: Images per step.
        eval_step_interval: Steps between two looks at the validation images.
        decay: Factor of the learning rate per epoch; None: the published one, or one that leads a shorter
            training to the same last rate.

    Raises:
        InputError: There is no such method.
    """
    points = []
    for layout in layouts:
        for method in ("FC",) if layout == "fc" else methods:
            point = _point(task, layout, method, n_epochs, batch_size, eval_step_interval, decay)
            points += dj.split([point], "seed", list(seeds))
    return points


def digits_comparison(
    methods: Sequence[str], seeds: Sequence[int] = (0,), n_epochs: int = 40
) -> list[dict[str, Any]]:
    """Return points of the small network on the digits, sized for minutes on two cores.

    The learning rate is constant: with the published decay, 40 epochs certified fewer of the validation
    images, with BCOP and with RKO.
    """
    how = {"n_epochs": n_epochs, "batch_size": 100, "eval_step_interval": 40, "decay": 1.0}
    return comparison(TASKS["digits"], ("small",), methods, seeds=seeds, **how)


def _point(
    task: Task,
    layout: Layout,
    method: str,
    n_epochs: float,
    batch_size: int,
    eval_step_interval: int,
    decay: float | None,
) -> dict[str, Any]:
    network = LipschitzNetwork(layout, BCOP() if method == "FC" else parameterization(method))
    decay = 10 ** (-N_EPOCHS / 60 / n_epochs) if decay is None else decay
    optimizer = Adam()
    if method == "SVCM":
        blank = data.blank(task.dataset)
        built = network.build(blank.train.inputs.shape[1:], len(blank.classes))
        optimizer = Projected(
            optimizer, SingularValuesOfConvolutions(clipped_images(built)), STEPS_PER_PROJECTION
        )
    frozen = ((r"conv\d+/kernel/.*", False), (".*", True)) if method == "BCOP-Fixed" else ()
    point = training_point(
        network,
        task.dataset,
        optimizer=optimizer,
        # The published rate decays before the first epoch already.
        schedule=Exponential(float(n_epochs), LEARNING_RATE * decay, decay),
        batch_size=batch_size,
        eval_step_interval=eval_step_interval,
        augmentation=task.augmentation,
        criterion=Hinge(math.sqrt(2) * task.training_radius),
        trainable=frozen,
    )
    return point | {"layout": layout, "parameterization": method, "radius": task.radius}
