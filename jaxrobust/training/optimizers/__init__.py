"""Optimizers: each takes one training step, with as many evaluations of the gradient as it likes.

An optimizer is a frozen dataclass whose numbers are leaves of a tree, like a method: they may become an axis
of many models and compile nothing anew. All evaluations of a step see the same batch. A new optimizer is one
file with one class with ``init`` and ``step``.
"""

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.training.optimizers.adam import Adam
from jaxrobust.training.optimizers.adversaries import Adversaries
from jaxrobust.training.optimizers.block_coordinate import BlockCoordinateDescent
from jaxrobust.training.optimizers.entropy_sgd import EntropySGD
from jaxrobust.training.optimizers.optimizer import Evaluate, Evaluation, Memory, Optimizer, Step
from jaxrobust.training.optimizers.projections import (
    Clamp,
    Masks,
    Projected,
    Projection,
    SingularValues,
    WeightClipping,
    projected_start,
)
from jaxrobust.training.optimizers.rmsprop import RMSProp
from jaxrobust.training.optimizers.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Adversaries",
    "BlockCoordinateDescent",
    "Clamp",
    "EntropySGD",
    "Evaluate",
    "Evaluation",
    "Masks",
    "Memory",
    "Optimizer",
    "Projected",
    "Projection",
    "RMSProp",
    "SingularValues",
    "Step",
    "WeightClipping",
    "optimizer_named",
    "projected_start",
]

# By the names of the published settings, with the published constants.
OPTIMIZERS: dict[str, Optimizer] = {
    "adam": Adam(),
    "sgd": SGD(),
    "nesterov": SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
    "esgd": EntropySGD(),
    "abcd": BlockCoordinateDescent(),
}


def optimizer_named(name: str) -> Optimizer:
    """The optimizer of a name, with its default constants.

    Raises:
        InputError: There is none of that name.
    """
    if name not in OPTIMIZERS:
        raise InputError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {name!r}.{nearest(name, OPTIMIZERS)}"
        )
    return OPTIMIZERS[name]
