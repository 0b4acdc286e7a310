"""Penalties on the size of the parameters."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.numerics import absolute, norm
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.training.methods.selection import selected
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


def _l1(x: Array) -> Array:
    return jnp.sum(absolute(x))  # a derivative of 0 at 0


def _l2_squared(x: Array) -> Array:
    return jnp.sum(x**2)


NORMS = {"l1": _l1, "l2": norm, "l2_squared": _l2_squared}


@settings_tree
@dataclass(frozen=True)
class NormPenalty:
    """A method's loss plus ``weight`` times the summed norms of some tensors.

    Attributes:
        base: The method that gives the first term.
        weight: Weight of the penalty.
        norm: ``"l1"``, the sum of absolute values; ``"l2"``, the Euclidean norm of each tensor, not squared,
            as published; or ``"l2_squared"``, the usual weight decay.
        parameters: Regular expressions for the paths of the tensors, all by default.
    """

    neutral: ClassVar = {"weight": 0.0}

    base: Method
    weight: Number
    norm: Literal["l1", "l2", "l2_squared"] = static(default="l2_squared")
    parameters: tuple[str, ...] = static(default=(".*",))

    def __post_init__(self):
        check_numbers(self, "weight")
        if self.norm not in NORMS:
            raise InputError(f"The norm of a penalty is one of {', '.join(NORMS)}, not {self.norm!r}.")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss plus the penalty at the parameters without noise or attack."""
        loss, forward = self.base.loss(objective, parameters, key)
        penalty = sum(NORMS[self.norm](leaf) for leaf in selected(self.parameters, parameters))
        return loss + self.weight * penalty, forward
