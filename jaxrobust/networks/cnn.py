"""The convolutional network for Fashion-MNIST and CIFAR-10."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxrobust.errors import InputError
from jaxrobust.layers.dropout import DropoutMask, check_dropout, dropout
from jaxrobust.layers.images import Images, Padding, check_image_batch, convolve, max_pool
from jaxrobust.layers.normalization import BatchNorm, moments_of
from jaxrobust.layers.pooled_convolution import convolve_and_pool
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.tapping import positions_of, run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters

Normalization = Literal["running", "batch"]
NORM = BatchNorm()


@dataclass(frozen=True)
class CNN(PlainKernels):
    """Two convolutions with ReLU and 2x2 max-pooling, then three dense layers, as in the published code::

        x = norm(x)
        x = pool(relu(conv(x, k1, padding 2 before, 1 after) + cb1))
        x = pool(relu(conv(x, k2, no padding) + cb2))
        x = norm(relu(relu(flatten(x) w1 + b1) w2 + b2));  logits = x w3 + b3

    ``norm`` has no parameters. Dropout acts on the inputs of the first, second and last dense layer.

    Parameters (float32): kernels ``k1 (4, 4, channels, 64)``, ``k2 (4, 4, 64, 64)``; biases ``cb1 (64,)``,
    ``cb2 (64,)``; ``w1 (flat, 256)``, ``w2 (256, 64)``, ``w3 (64, n_out)`` and ``b1``, ``b2``, ``b3``.
    For 28x28 grey images 493,642; published 493,579, as there ``cb1`` is a single number
    (``channel_biases=False``). The published code draws ``w2`` and ``w3`` from the same key; here their keys
    differ.

    Positions: ``input``, ``norm_input``, ``conv1``, ``relu1``, ``pool1``, ``conv2``, ``relu2``, ``pool2``,
    ``fc1``, ``relu3``, ``fc2``, ``relu4``, ``norm_last``, ``logits``.

    Attributes:
        image: Height, width and channels; (28, 28, 1) for Fashion-MNIST, (32, 32, 3) for CIFAR-10.
        n_out: Classes.
        kernels: Channels of the two convolutions.
        dense: Units of the two hidden dense layers.
        normalization: ``"running"`` normalizes by running statistics outside of training; ``"batch"``, as
            published, always by the current batch, so that predictions depend on the other samples.
        channel_biases: Whether the first convolution has one bias per channel, or a single one as published.
        dropout: Probability of a unit to be dropped in training.
        dropout_mask: ``"rescaled"`` or ``"published"``; see ``dropout``.

    Raises:
        InputError: Images too small for two convolutions, or a normalization, probability or mask that does
            not exist.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.CNN(image=(16, 16, 1), n_out=7, kernels=(4, 4), dense=(8, 8))
        >>> jax.eval_shape(network.init, jax.random.key(0)).parameters["k1"].shape
        (4, 4, 1, 4)
    """

    image: tuple[int, int, int] = (28, 28, 1)
    n_out: int = 10
    kernels: tuple[int, int] = (64, 64)
    dense: tuple[int, int] = (256, 64)
    normalization: Normalization = "running"
    channel_biases: bool = True
    dropout: float = 0.0
    dropout_mask: DropoutMask = "rescaled"

    def __post_init__(self):
        check_dropout(self.dropout, self.dropout_mask)
        if self.normalization not in get_args(Normalization):
            raise InputError(f'normalization is "running" or "batch", not {self.normalization!r}.')
        if min(self._pooled) < 1:
            raise InputError(f"Images of {self.image[0]}x{self.image[1]} pixels are too small for the CNN.")

    @property
    def _pooled(self) -> tuple[int, int]:
        """Height and width after the second pooling."""
        return (self.image[0] // 2 - 3) // 2, (self.image[1] // 2 - 3) // 2

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return positions_of(self, self.image)

    def init(self, key: Array) -> Variables:
        """Draw from truncated normal distributions of the published widths; dense biases are zero.

        The width of a convolution, its bias included, is ``sqrt(6 / (8 channels_in channels_out))``.
        """
        channels, (one, two) = self.image[2], self.kernels
        sizes = (math.prod(self._pooled) * two, *self.dense, self.n_out)
        keys = iter(jax.random.split(key, 7))

        def draw(shape: tuple[int, ...], fans: int) -> Array:
            return jax.random.truncated_normal(next(keys), -2, 2, shape) * math.sqrt(6 / fans)

        parameters = {
            "k1": draw((4, 4, channels, one), 2 * one * channels * 4),
            "k2": draw((4, 4, one, two), 2 * two * one * 4),
            "cb1": draw((one if self.channel_biases else 1,), 2 * one * channels * 4),
            "cb2": draw((two,), 2 * two * one * 4),
        }
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            parameters[f"w{layer}"] = draw((fan_in, fan_out), fan_in + fan_out)
            parameters[f"b{layer}"] = jnp.zeros(fan_out)
        if self.normalization == "batch":
            return Variables(parameters, {})
        return Variables(
            parameters,
            {"input": NORM.init(channels), "last": NORM.init(sizes[2])},
        )

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch height width channels"],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compute the logits.

        Raises:
            InputError: The inputs are not images of the network's size; an unknown position; a missing key.
        """
        check_image_batch(inputs, self.image)

        def drop(x: Array, place: int) -> Array:
            if not (training and self.dropout):
                return x
            place_key = None if key is None else jax.random.fold_in(key, place)
            return dropout(x, place_key, rate=self.dropout, mask=self.dropout_mask)

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            p, new = parameters, {}

            def norm(x: Array, name: str) -> Array:
                if self.normalization == "batch":
                    return tap(f"norm_{name}", NORM.normalize(x, moments_of(x)))
                x, moments = NORM(x, statistics[name], training=training)
                x, new[name] = tap.update(name, x, statistics[name], moments)
                return tap(f"norm_{name}", x)

            def block(x: Images, number: int, padding: Padding) -> Images:
                kernel, bias = p[f"k{number}"], p[f"cb{number}"]
                if tap.taps.is_empty:  # nothing looks inside, so the backend's fastest form will do
                    return convolve_and_pool(x, kernel, bias, padding=padding)
                x = tap(f"conv{number}", convolve(x, kernel, padding=padding) + bias)
                return tap(f"pool{number}", max_pool(tap(f"relu{number}", jax.nn.relu(x))))

            x = norm(tap("input", inputs.astype(p["k1"].dtype)), "input")
            x = block(x, 1, ((2, 1), (2, 1)))
            x = block(x, 2, ((0, 0), (0, 0)))
            x = drop(x.reshape(x.shape[0], -1), 0)
            x = drop(tap("relu3", jax.nn.relu(tap("fc1", x @ p["w1"] + p["b1"]))), 1)
            x = drop(tap("relu4", jax.nn.relu(tap("fc2", x @ p["w2"] + p["b2"]))), 2)
            return tap("logits", norm(x, "last") @ p["w3"] + p["b3"]), new

        return run_with_taps(self, compute, tap, key=key, training=training)
