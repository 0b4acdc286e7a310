"""The algebra of Lipschitz bounds: every layer states its own, and an unknown operation is an error."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxrobust.errors import InputError

Shape = tuple[int, ...]


class Bound(NamedTuple):
    """What a layer does to distances, for the L2 norm of a sample.

    Attributes:
        constant: Upper bound of the Lipschitz constant, in float64.
        shape: Shape of one output sample.
        preserves_gradient: Whether gradients keep their norm on the way back, where they exist.
        offset: Upper bound of the norm of the output at zero.
        n_operations: Layers one after the other, for the bound of rounding errors.
    """

    constant: float
    shape: Shape
    preserves_gradient: bool = False
    offset: float = 0.0
    n_operations: int = 1

    def then(self, other: "Bound") -> "Bound":
        """The bound of this layer followed by another."""
        return Bound(
            self.constant * other.constant,
            other.shape,
            self.preserves_gradient and other.preserves_gradient,
            self.offset * other.constant + other.offset,
            self.n_operations + other.n_operations,
        )


@runtime_checkable
class Bounded(Protocol):
    """A layer that states its Lipschitz bound.

    Example:
        >>> from flax import linen as nn
        >>> class Halve(nn.Module):
        ...     def __call__(self, x):
        ...         return x / 2
        ...     @nn.nowrap
        ...     def lipschitz(self, parameters, shape):
        ...         return Bound(0.5, shape)
        >>> bound_of(Halve(), {}, (3,)).constant
        0.5
    """

    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """Bound the layer with baked parameters for samples of a shape."""
        ...


def bound_of(layer: Any, parameters: Any, shape: Shape) -> Bound:
    """Return the bound of a layer.

    Args:
        layer: With a method ``lipschitz(parameters, shape) -> Bound``.
        parameters: The layer's own, baked, on the host.
        shape: Shape of one input sample.

    Raises:
        InputError: The layer states no bound.
    """
    if not isinstance(layer, Bounded):
        name = getattr(layer, "name", None)
        raise InputError(
            f"The layer {type(layer).__name__}{f' {name!r}' if name else ''} states no Lipschitz bound, so "
            f"the network cannot be certified; give it a method lipschitz(parameters, shape) -> Bound, or "
            f"replace it."
        )
    bound = layer.lipschitz(parameters, shape)
    if np.isnan(bound.constant):
        return bound._replace(constant=float("inf"))
    return bound
