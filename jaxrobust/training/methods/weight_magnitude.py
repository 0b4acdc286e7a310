"""A penalty on small weights: the one way to appear robust that means nothing."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.numerics import absolute
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.training.methods.selection import selected
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class WeightMagnitude:
    """A method's loss plus ``weight * max(0, target - sum of mean |W|)`` (figure S4).

    It drives the mean absolute weights of the hidden layers up to ``target`` and then falls silent.

    Attributes:
        base: The method that gives the first term.
        weight: Weight of the penalty; published 1e5 (and 0 for the comparison).
        target: Sum of mean absolute values above which nothing is asked.
        parameters: Regular expressions for the paths of the hidden layers' weight matrices.
    """

    neutral: ClassVar = {"weight": 0.0}

    base: Method
    weight: Number
    target: Number = 2.0
    parameters: tuple[str, ...] = static(default=("w1", "w2"))

    def __post_init__(self):
        check_numbers(self, "weight", "target")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus the penalty."""
        loss, forward = self.base.loss(objective, parameters, key)
        magnitude = sum(jnp.mean(absolute(w)) for w in selected(self.parameters, parameters))
        return loss + self.weight * jax.nn.relu(self.target - magnitude), forward
