"""A network behind a fixed standardization of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Outputs, Shape, Variables
from jaxrobust.networks.taps import NO_TAPS, Statistics, Taps
from jaxrobust.trees import Parameters


@dataclass(frozen=True)
class Standardized:
    """``network((x - mean) / deviation)``: inputs stay what the data are, and so do attacks and their sizes.

    Positions are those of the network inside; noise at its ``input`` is in units of the standardized inputs.

    Attributes:
        network: What gets the standardized inputs.
        mean: One number per channel, the last axis of the inputs, or one for all.
        deviation: What they are divided by, as many.

    Example:
        >>> import jax
        >>> from jaxrobust.networks.mlp import MLP
        >>> network = Standardized(MLP(2, (3,), 2), (0.5,), (0.25,))
        >>> x, variables = jnp.array([[0.5, 1.0]]), network.init(jax.random.key(0))
        >>> inside = network.network.forward(*variables, jnp.array([[0.0, 2.0]]))
        >>> bool((network.forward(*variables, x).logits == inside.logits).all())
        True
    """

    network: Network
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self):
        if len(self.mean) != len(self.deviation) or not all(number > 0 for number in self.deviation):
            raise InputError(
                f"Standardized needs as many deviations above 0 as means, not {self.mean} and "
                f"{self.deviation}."
            )

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Those of the network inside."""
        return self.network.positions

    def init(self, key: Array) -> Variables:
        """Draw fresh parameters and the statistics to start from."""
        return self.network.init(key)

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compute logits, activations and the statistics after this batch.

        Raises:
            InputError: There are several means, but not one per channel; or the network inside raises it.
        """
        if len(self.mean) not in (1, inputs.shape[-1]):
            raise InputError(
                f"Inputs of shape {inputs.shape[1:]} cannot be standardized with {len(self.mean)} means: "
                f"give one per channel, the last axis, or one for all."
            )
        standardized = _standardized(inputs, self.mean, self.deviation)
        return self.network.forward(parameters, statistics, standardized, key=key, training=training, tap=tap)

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Return a tree that ``forward`` takes too, with kernels in place of what makes them."""
        return self.network.bake(parameters, statistics)


def _standardized(
    inputs: Shaped[Array, "batch *axes"], mean: tuple[float, ...], deviation: tuple[float, ...]
) -> Float[Array, "batch *axes"]:
    dtype = inputs.dtype if jnp.issubdtype(inputs.dtype, jnp.floating) else jnp.dtype(jnp.float32)
    axes = (1,) * (inputs.ndim - 1)
    m, d = (jnp.asarray(numbers, dtype).reshape(*axes, -1) for numbers in (mean, deviation))
    return (inputs.astype(dtype) - m) / d
