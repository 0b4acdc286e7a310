"""What the training program asks of an optimizer, and what most optimizers do."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.networks.network import Outputs
from jaxrobust.trees import Number, Parameters

Memory = PyTree[Array]


class Evaluation(NamedTuple):
    """The method's loss at some parameters, the base forward pass, and the loss's gradient."""

    loss: Float[Array, ""]
    forward: Outputs
    gradient: Parameters


class Step(NamedTuple):
    """Where a training step leads.

    Attributes:
        parameters: The new parameters.
        memory: What the optimizer remembers.
        loss: The loss at the old parameters, by the step's first evaluation.
        forward: The base forward pass there: what is logged as accuracy and where the running statistics
            come from.
    """

    parameters: Parameters
    memory: Memory
    loss: Float[Array, ""]
    forward: Outputs


# Parameters and a key for noise, dropout and the start of attacks.
Evaluate = Callable[[Parameters, Array], Evaluation]


class Optimizer(Protocol):
    """What the training program asks of an optimizer."""

    def init(self, parameters: Parameters) -> Memory:
        """What it remembers before the first step: a tree of arrays."""
        ...

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """Take one step."""
        ...


def descend(parameters: Parameters, rate: Number, direction: Parameters) -> Parameters:
    """``parameters - rate * direction``, in the dtype of the parameters."""
    return jax.tree.map(lambda p, d: (p - rate * d).astype(p.dtype), parameters, direction)


def momentum_step(
    gradient: Parameters, momentum: Parameters, decay: Number, *, nesterov: bool
) -> tuple[Parameters, Parameters]:
    """The direction of descent and the momentum after this gradient."""
    new = jax.tree.map(lambda m, g: (decay * m + g).astype(g.dtype), momentum, gradient)
    if not nesterov:
        return new, new
    return jax.tree.map(lambda g, m: (g + decay * m).astype(g.dtype), gradient, new), new
