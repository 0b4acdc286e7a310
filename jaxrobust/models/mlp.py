"""Multi-layer perceptron with rectified linear units."""

from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.models.network import Forward, Parameters, Statistics, Variables


@dataclass(frozen=True)
class MLP:
    """Fully connected layers, ReLU between them; the input is flattened.

    Parameters (float32): ``w1 (n_in, n_1)``, ``b1 (n_1,)``, ``w2 (n_1, n_2)``, … in the order of the layers.

    Attributes:
        n_in: Input features of a sample once flattened.
        n_hidden: Units of each hidden layer.
        n_out: Classes.
    """

    n_in: int
    n_hidden: tuple[int, ...]
    n_out: int

    def init(self, key: Array) -> Variables:
        """Draw weights of standard deviation ``sqrt(2 / fan_in)`` (He et al. 2015); biases are zero."""
        sizes = (self.n_in, *self.n_hidden, self.n_out)
        parameters = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            weights = jax.random.normal(jax.random.fold_in(key, layer), (fan_in, fan_out))
            parameters[f"w{layer}"] = weights * (2 / fan_in) ** 0.5
            parameters[f"b{layer}"] = jnp.zeros(fan_out)
        return Variables(parameters, {})

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Float[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
    ) -> Forward:
        """Compute the logits.

        Raises:
            InputError: The inputs do not have ``n_in`` features.
        """
        del key, training
        x = inputs.reshape(inputs.shape[0], -1)
        if x.shape[1] != self.n_in:
            raise InputError(
                f"The MLP takes {self.n_in} input features, but the data have {x.shape[1]} "
                f"(shape {tuple(inputs.shape[1:])}); set n_in to fit."
            )
        last = len(self.n_hidden) + 1
        for layer in range(1, last + 1):
            x = x @ parameters[f"w{layer}"] + parameters[f"b{layer}"]
            x = x if layer == last else jax.nn.relu(x)
        return Forward(x, jnp.zeros((x.shape[0], 0)), statistics)
