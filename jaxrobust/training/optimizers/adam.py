"""Adam."""

from dataclasses import dataclass
from typing import Any

import optax
from jax import Array
from jaxtyping import Float

from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Step, descend
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with the published constants.

    Attributes:
        b1: Decay of the mean gradient, per step.
        b2: Decay of the mean squared gradient, per step.
        eps: Added to the root of the latter.
    """

    b1: Number = 0.9
    b2: Number = 0.999
    eps: Number = 1e-8

    def __post_init__(self):
        check_numbers(self, "b1", "b2", maximum=1.0)
        check_numbers(self, "eps")

    def init(self, parameters: Parameters) -> Memory:
        """Zero means."""
        return optax.scale_by_adam().init(parameters)

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """One gradient, one step."""
        evaluation = evaluate(parameters, key)
        direction, memory = self.direction(evaluation.gradient, memory)
        return Step(
            descend(parameters, learning_rate, direction), memory, evaluation.loss, evaluation.forward
        )

    def direction(self, gradient: Parameters, memory: Any) -> tuple[Parameters, Memory]:
        """The direction of descent and the means after this gradient."""
        return optax.scale_by_adam(b1=self.b1, b2=self.b2, eps=self.eps).update(gradient, memory)  # pyright: ignore[reportArgumentType]
