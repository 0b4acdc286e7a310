"""Convolutional networks for keywords ("Hello Edge", Zhang et al. 2017, without the low-rank layer)."""

from typing import Literal

from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.fan_in import Convolution, Dense
from jaxrobust.layers.linen import Normalization
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.taps import Tap
from jaxrobust.settings import nearest

# Channels of the two convolutions by the size of the network.
CHANNELS: dict[str, tuple[int, int]] = {"S": (28, 30), "M": (64, 48), "L": (60, 76)}
KERNEL = (4, 10)


class KeywordConvolutions(nn.Module):
    """Two convolutions over (coefficients, time) and two dense layers; use ``keyword_cnn`` for a network.

    Attributes:
        channels: Channels of the convolutions; the first has stride 2 in time.
        n_out: Classes.
        normalization: Batch normalization before every ReLU; None for none.
        units: Units of the hidden dense layer.
    """

    channels: tuple[int, int] = CHANNELS["S"]
    n_out: int = 12
    normalization: BatchNorm | None = None
    units: int = 128

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch time coefficients"], *, training: bool, tap: Tap
    ) -> Float[Array, "batch classes"]:
        """Compute the logits."""

        def rectified(x: Array, number: int) -> Array:
            if self.normalization:
                x = Normalization(self.normalization, name=f"bn{number}")(x, training=training)
            return tap(f"relu{number}", nn.relu(x))

        x = x.swapaxes(1, 2)[..., None]
        for number, (channels, strides) in enumerate(zip(self.channels, ((1, 2), (1, 1)), strict=True), 1):
            x = rectified(Convolution(channels, KERNEL, strides, name=f"conv{number}")(x), number)
        x = rectified(Dense(self.units, name="fc3")(x.reshape(x.shape[0], -1)), 3)
        return Dense(self.n_out, name="logits")(x)


def keyword_cnn(
    size: Literal["S", "M", "L"] = "S",
    sample: tuple[int, int] = (49, 10),
    n_out: int = 12,
    normalization: BatchNorm | None = None,
) -> LinenNetwork:
    """Return CNN-S, CNN-M or CNN-L for sequences of cepstral coefficients.

    Parameters without batch normalization, for 49 frames of 10 coefficients and 12 classes: 205,414 (S).
    Positions: ``input, conv1, relu1, conv2, relu2, fc3, relu3, logits``; with batch normalization ``bn1`` to
    ``bn3`` before each ``relu``.

    Args:
        size: ``"S"``, ``"M"`` or ``"L"``.
        sample: Time steps and coefficients.
        n_out: Classes.
        normalization: ``BatchNorm(variance="unbiased")`` for the published one; None for none.

    Raises:
        InputError: There is no such size, or the sequences are too short.

    Example:
        >>> len(keyword_cnn().positions)
        8
    """
    if size not in CHANNELS:
        raise InputError(f"There is no CNN-{size}, only S, M and L.{nearest(str(size), CHANNELS)}")
    n_steps, n_coefficients = sample
    if n_coefficients < 2 * KERNEL[0] - 1 or (n_steps - KERNEL[1]) // 2 + 1 < KERNEL[1]:
        raise InputError(f"CNN-{size} needs at least 28 time steps of 7 coefficients, not {sample}.")
    return LinenNetwork(KeywordConvolutions(CHANNELS[size], n_out, normalization), tuple(sample))
