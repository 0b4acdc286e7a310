"""Projections of the parameters after each step: weight clipping, masks, singular values."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.errors import InputError
from jaxrobust.factorizations import svd
from jaxrobust.path_rules import matching
from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Optimizer, Step
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


class Projection(Protocol):
    """The nearest allowed parameters, or an approximation: a pure function that keeps shapes and dtypes.

    Attributes:
        projects_start: Whether a training starts from projected parameters too; else from the drawn ones.
    """

    projects_start: ClassVar[bool]

    def project(self, parameters: Parameters) -> Parameters:
        """Project parameters; those that are allowed come back within rounding."""
        ...


@settings_tree
@dataclass(frozen=True)
class Projected:
    """Any optimizer, its parameters projected after its steps.

    Attributes:
        optimizer: What takes the step.
        projection: What its parameters are projected by.
        every: Steps between projections; with more than 1 the parameters in between are not projected.
    """

    optimizer: Optimizer
    projection: Projection
    every: int = static(default=1)

    def __post_init__(self):
        if not isinstance(self.every, int) or self.every < 1:
            raise InputError(f"A projection takes place every 1 or more steps, not every {self.every!r}.")

    def init(self, parameters: Parameters) -> Memory:
        """What the optimizer remembers, and the steps taken if some are without projection."""
        memory = self.optimizer.init(parameters)
        return memory if self.every == 1 else (memory, jnp.int32(0))

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """The optimizer's step, then the projection."""
        if self.every == 1:
            step = self.optimizer.step(evaluate, parameters, memory, learning_rate, key)
            return step._replace(parameters=self.projection.project(step.parameters))
        inner, n_steps = memory
        step = self.optimizer.step(evaluate, parameters, inner, learning_rate, key)
        new = jax.lax.cond(
            (n_steps + 1) % self.every == 0, self.projection.project, lambda p: p, step.parameters
        )
        return step._replace(parameters=new, memory=(step.memory, n_steps + 1))


def projected_start(optimizer: Optimizer, parameters: Parameters) -> Parameters:
    """Project the parameters that a training starts from, if its optimizer's projections say so."""
    while isinstance(optimizer, Projected):
        if optimizer.projection.projects_start:
            parameters = optimizer.projection.project(parameters)
        optimizer = optimizer.optimizer
    return parameters


@settings_tree
@dataclass(frozen=True)
class WeightClipping:
    """Clip each tensor to ``mean +- alpha std``, its own mean and standard deviation.

    Vectors and scalars (biases, scales) are left alone.

    Attributes:
        alpha: Standard deviations on either side; published 2.
    """

    projects_start: ClassVar[bool] = False

    alpha: Number = 2.0

    def __post_init__(self):
        check_numbers(self, "alpha")

    def project(self, parameters: Parameters) -> Parameters:
        """Clip all tensors of two dimensions or more."""
        return jax.tree.map(self._clip, parameters)

    def _clip(self, weights: Array) -> Array:
        if weights.ndim < 2:
            return weights
        mean, reach = jnp.mean(weights), self.alpha * jnp.std(weights)
        return jnp.clip(weights, mean - reach, mean + reach).astype(weights.dtype)


@settings_tree
@dataclass(frozen=True)
class Clamp:
    """Clip some tensors to a fixed interval.

    Attributes:
        minimum: The smallest allowed value.
        maximum: The largest.
        parameters: Regular expressions for the paths of the tensors, all by default.
    """

    projects_start: ClassVar[bool] = False

    minimum: Number
    maximum: Number
    parameters: tuple[str, ...] = static(default=(".*",))

    def __post_init__(self):
        check_numbers(self, "minimum", "maximum", minimum=-float("inf"))

    def project(self, parameters: Parameters) -> Parameters:
        """Clip the tensors that are named."""
        return jax.tree.map(
            lambda p, is_named: jnp.clip(p, self.minimum, self.maximum).astype(p.dtype) if is_named else p,
            parameters,
            matching(self.parameters, parameters),
        )


@settings_tree
@dataclass(frozen=True)
class Masks:
    """Keep pruned weights at zero, from the start of the training.

    Attributes:
        masks: A tree like the parameters with arrays of their shapes, 0 or false
            for a pruned weight; or with single numbers, 1 for a tensor that is kept whole.
    """

    projects_start: ClassVar[bool] = True

    masks: PyTree[Array]

    def project(self, parameters: Parameters) -> Parameters:
        """Set what is pruned to zero."""
        expected, given = (jax.tree.structure(t, is_leaf=_is_none) for t in (parameters, self.masks))
        if given != expected:
            raise InputError(f"The masks must be a tree like the parameters ({expected}), not {given}.")

        # By selection: a product would leave -0.0, and NaN where a pruned weight is infinite.
        def mask(p: Array | None, m: Array) -> Array | None:
            return p if p is None else jnp.where(jnp.asarray(m, bool), p, jnp.zeros_like(p))

        return jax.tree.map(mask, parameters, self.masks, is_leaf=_is_none)


def _is_none(x: object) -> bool:
    return x is None  # a frozen leaf


@settings_tree
@dataclass(frozen=True)
class SingularValues:
    """Clip the singular values of weight matrices (Sedghi et al. 2019 for matrices).

    Attributes:
        bound: The largest allowed singular value.
        parameters: Regular expressions for the paths of the matrices, ``(inputs, outputs)`` each.
    """

    projects_start: ClassVar[bool] = True

    bound: Number = 1.0
    parameters: tuple[str, ...] = static(default=("w.*",))

    def __post_init__(self):
        check_numbers(self, "bound")

    def project(self, parameters: Parameters) -> Parameters:
        """Clip the matrices that are named.

        Raises:
            InputError: A tensor that is named is no matrix.
        """
        return jax.tree.map(
            lambda p, is_named: self._clip(p) if is_named else p,
            parameters,
            matching(self.parameters, parameters),
        )

    def _clip(self, matrix: Array) -> Array:
        if matrix.ndim != 2:
            raise InputError(f"Singular values are those of matrices, not of shape {matrix.shape}.")
        u, values, v = svd(matrix)
        return ((u * jnp.minimum(values, self.bound)) @ v).astype(matrix.dtype)
