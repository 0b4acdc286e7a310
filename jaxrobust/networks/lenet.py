"""LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling, with or without batch normalization."""

from dataclasses import dataclass

from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.fan_in import Convolution, Dense
from jaxrobust.layers.images import Images, max_pool
from jaxrobust.layers.linen import Normalization
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.taps import Tap

# Smaller images leave nothing after the second pooling.
SMALLEST = 16


class LeNet5(nn.Module):
    """Two 5x5 convolutions and three dense layers; use ``lenet5`` to make a network of it.

    Attributes:
        n_out: Classes.
        normalization: Batch normalization before every ReLU; None for none.
        channels: Channels of the two convolutions.
        dense: Units of the two hidden dense layers.
    """

    n_out: int = 10
    normalization: BatchNorm | None = None
    channels: tuple[int, int] = (6, 16)
    dense: tuple[int, int] = (120, 84)

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Float[Array, "batch classes"]:
        """Compute the logits."""

        def rectified(x: Array, number: int) -> Array:
            if self.normalization:
                x = Normalization(self.normalization, name=f"bn{number}")(x, training=training)
            return tap(f"relu{number}", nn.relu(x))

        for number, channels in enumerate(self.channels, start=1):
            x = rectified(Convolution(channels, (5, 5), name=f"conv{number}")(x), number)
            x = tap(f"pool{number}", max_pool(x))
        x = x.reshape(x.shape[0], -1)
        for number, units in enumerate(self.dense, start=3):
            x = rectified(Dense(units, name=f"fc{number}")(x), number)
        return Dense(self.n_out, name="logits")(x)


def lenet5(
    image: tuple[int, int, int] = (28, 28, 1), n_out: int = 10, normalization: BatchNorm | None = None
) -> LinenNetwork:
    """Return LeNet-5 for images of one size: 44,426 parameters for 28x28 grey images and ten classes.

    Positions: ``input, conv1, relu1, pool1, conv2, relu2, pool2, fc3, relu3, fc4, relu4, logits``; with batch
    normalization ``bn1`` to ``bn4`` before each ``relu``.

    Args:
        image: Height, width and channels.
        n_out: Classes.
        normalization: ``BatchNorm(variance="unbiased")`` for the published one; None for none.

    Raises:
        InputError: The images are too small.

    Example:
        >>> len(lenet5().positions), len(lenet5(normalization=BatchNorm()).positions)
        (12, 16)
    """
    if min(image[:2]) < SMALLEST:
        raise InputError(f"LeNet-5 needs images of at least {SMALLEST}x{SMALLEST} pixels, not {image}.")
    return LinenNetwork(LeNet5(n_out, normalization), image)


@dataclass(frozen=True)
class LeNet:
    """LeNet-5 described without its data: 61,706 parameters for 32x32 grey images and ten classes.

    Attributes:
        normalized: Whether every layer but the last is followed by batch normalization.
    """

    normalized: bool = False

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        if len(shape) != 3:
            raise InputError(f"LeNet-5 takes images, not samples of shape {shape}.")
        norm = BatchNorm(variance="unbiased") if self.normalized else None
        return lenet5((shape[0], shape[1], shape[2]), n_classes, norm)
