"""A penalty on the gradient itself."""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array

from jaxrobust.numerics import absolute, largest
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.training.methods.selection import selected
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class ContractivePenalty:
    """A method's loss L plus ``weight`` times the sum over tensors of ``max |dL / dp|``.

    Attributes:
        base: The method that gives L.
        weight: Weight of the penalty.
        parameters: Regular expressions for the paths of the tensors, all by default.
    """

    neutral: ClassVar = {"weight": 0.0}

    base: Method
    weight: Number
    parameters: tuple[str, ...] = static(default=(".*",))

    def __post_init__(self):
        check_numbers(self, "weight")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus the penalty; its gradient takes second derivatives of the network."""

        def of(p: Parameters) -> Loss:
            return self.base.loss(objective, p, key)

        (loss, forward), gradient = jax.value_and_grad(of, has_aux=True)(parameters)
        # The sign is constant, with 0 at 0, where the derivative of an absolute value is no number.
        of_each = [largest(absolute(g)) for g in selected(self.parameters, gradient)]
        return loss + self.weight * sum(of_each), forward
