"""Multi-layer perceptron with rectified linear units."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from jaxrobust.errors import InputError
from jaxrobust.layers.dropout import DropoutMask, check_dropout, dropout
from jaxrobust.layers.fan_in import uniform_start
from jaxrobust.layers.normalization import BatchNorm, Moments
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.numerics import of_rank
from jaxrobust.trees import Parameters

Start = Literal["he", "published", "glorot", "uniform"]


@dataclass(frozen=True)
class MLP(PlainKernels):
    """Fully connected layers, ReLU between them; the input is flattened.

    Parameters (float32): ``w1 (n_in, n_1)``, ``b1 (n_1,)``, ``w2 (n_1, n_2)``, … in the order of the layers;
    with batch normalization also ``bn1/scale (n_1,)``, ``bn1/offset (n_1,)``, ….

    Positions: ``input`` (flat), ``fc1``, ``bn1`` (with batch normalization), ``relu1``, ``fc2``, … in the
    order of the layers (dropout comes after ``relu``), ``logits``.

    Attributes:
        n_in: Input features of a sample once flattened.
        n_hidden: Units of each hidden layer.
        n_out: Classes.
        start: ``"he"`` draws weights of standard deviation ``sqrt(2 / fan_in)`` (He et al. 2015) and zero
            biases; ``"published"`` draws both of standard deviation 0.1 (MNIST); ``"glorot"`` draws weights
            uniformly in ``+-sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010) and zero biases;
            ``"uniform"`` draws both in ``+-1 / sqrt(fan_in)``, PyTorch's default.
        dropout: Probability of a hidden unit to be dropped in training.
        dropout_mask: ``"rescaled"`` or ``"published"``; see ``dropout``.
        has_biases: Whether layers have biases; without them there are no ``b1``, ``b2``, ….
        normalization: Batch normalization between each hidden layer and its ReLU, with scale and offset;
            None for none.

    Raises:
        InputError: A word that names no start or mask, or a probability outside 0 to 1.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.MLP(n_in=64, n_hidden=(32,), n_out=10)
        >>> variables = network.init(jax.random.key(0))
        >>> network.forward(*variables, jnp.ones((5, 64))).logits.shape
        (5, 10)
    """

    n_in: int
    n_hidden: tuple[int, ...]
    n_out: int
    start: Start = "he"
    dropout: float = 0.0
    dropout_mask: DropoutMask = "rescaled"
    has_biases: bool = True
    normalization: BatchNorm | None = None

    def __post_init__(self):
        check_dropout(self.dropout, self.dropout_mask)
        if self.start not in get_args(Start):
            raise InputError(f"The start of an MLP is one of {get_args(Start)}, not {self.start!r}.")

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return positions_of(self, (self.n_in,))

    def init(self, key: Array) -> Variables:
        """Draw weights and biases."""
        sizes = (self.n_in, *self.n_hidden, self.n_out)
        parameters, statistics = {}, {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            layer_key = jax.random.fold_in(key, layer)
            published = self.start == "published"
            if self.normalization and layer <= len(self.n_hidden):
                parameters[f"bn{layer}"] = {"scale": jnp.ones(fan_out), "offset": jnp.zeros(fan_out)}
                statistics[f"bn{layer}"] = self.normalization.init(fan_out)
            if self.start == "uniform":
                weights = uniform_start(layer_key, (fan_in, fan_out), fan_in)
            elif self.start == "glorot":
                bound = (6 / (fan_in + fan_out)) ** 0.5
                weights = jax.random.uniform(layer_key, (fan_in, fan_out), minval=-bound, maxval=bound)
            else:
                weights = jax.random.normal(layer_key, (fan_in, fan_out))
                weights = weights * (0.1 if published else (2 / fan_in) ** 0.5)
            parameters[f"w{layer}"] = weights
            if self.has_biases:
                parameters[f"b{layer}"] = self._biases(jax.random.fold_in(layer_key, 1), fan_in, fan_out)
        return Variables(parameters, statistics)

    def _biases(self, key: Array, fan_in: int, fan_out: int) -> Float[Array, " units"]:
        if self.start == "uniform":
            return uniform_start(key, (fan_out,), fan_in)
        return 0.1 * jax.random.normal(key, (fan_out,)) if self.start == "published" else jnp.zeros(fan_out)

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
        """Compute the logits.

        Raises:
            InputError: The inputs do not have ``n_in`` features; an unknown position; a missing key.
        """
        x = inputs.reshape(inputs.shape[0], -1).astype(parameters["w1"].dtype)
        if x.shape[1] != self.n_in:
            raise InputError(
                f"The MLP takes {self.n_in} input features, but the data have {x.shape[1]} "
                f"(shape {tuple(inputs.shape[1:])}); set n_in to fit."
            )

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            hidden, last, new = tap("input", x), len(self.n_hidden) + 1, dict(statistics)
            for layer in range(1, last):
                hidden = tap(f"fc{layer}", self._affine(parameters, hidden, layer))
                if self.normalization:
                    name, states = f"bn{layer}", (parameters, statistics, new)
                    hidden = self._normalized(name, hidden, *states, training, tap)
                hidden = tap(f"relu{layer}", jax.nn.relu(hidden))
                if training and self.dropout:
                    mask_key = None if key is None else jax.random.fold_in(key, layer)
                    hidden = dropout(hidden, mask_key, rate=self.dropout, mask=self.dropout_mask)
            return tap("logits", self._affine(parameters, hidden, last)), new

        return run_with_taps(self, compute, tap, key=key, training=training)

    def _affine(
        self, parameters: Parameters, x: Float[Array, "batch inputs"], layer: int
    ) -> Float[Array, "batch units"]:
        product = x @ parameters[f"w{layer}"]
        return product + of_rank(parameters[f"b{layer}"], 2) if self.has_biases else product

    def _normalized(
        self,
        name: str,
        x: Float[Array, "batch units"],
        parameters: Parameters,
        statistics: Statistics,
        new: dict[str, Moments],
        training: bool,
        tap: Tap,
    ) -> Float[Array, "batch units"]:
        """Normalize, scale and shift; the running moments after this batch go into ``new``."""
        assert self.normalization is not None
        x, moments = self.normalization(x, statistics[name], training=training)
        x, new[name] = tap.update(name, x, statistics[name], moments)
        scale, offset = (of_rank(parameters[name][part], 2) for part in ("scale", "offset"))
        return tap(name, x * scale + offset)
