"""Plain stacks of 3x3 convolutions: Tiny10 and the calibration network of the stitching study."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images
from jaxrobust.layers.linen import Convolution, Normalization
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.taps import Tap

# Running variances as PyTorch remembers them, so that its weights can be imported.
NORM = BatchNorm(variance="unbiased")


class ConvStack(nn.Module):
    """Convolutions with ReLU, the mean over all pixels, and one dense layer.

    Positions: ``input``, ``pool`` if the image is averaged first, then ``conv1``, ``bn1`` (with batch
    normalization), ``relu1``, ``conv2``, …, ``features``, ``fc``, ``logits``.

    Attributes:
        channels: Output channels of each convolution.
        strides: Stride of each.
        sizes: Kernel size of each.
        padding: Zeros on either side of the image before each convolution with a kernel larger than 1.
        normalized: Whether every convolution is followed by batch normalization.
        pool: The image is averaged over squares of so many pixels first; 1 leaves it as it is.
        n_out: Classes.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    sizes: tuple[int, ...]
    padding: int = 0
    normalized: bool = True
    pool: int = 1
    n_out: int = 10

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, training: bool, tap: Tap
    ) -> Float[Array, "batch classes"]:
        """Compute logits."""
        if self.pool > 1:
            x = tap("pool", _averaged(x, self.pool))
        layers = zip(self.channels, self.strides, self.sizes, strict=True)
        for layer, (features, stride, size) in enumerate(layers, start=1):
            padding = self.padding if size > 1 else 0
            convolution = Convolution(
                features, size, stride, (padding, padding), use_bias=True, name=f"conv{layer}"
            )
            x = convolution(x)
            if self.normalized:
                x = Normalization(NORM, name=f"bn{layer}")(x, training=training)
            x = tap(f"relu{layer}", nn.relu(x))
        return nn.Dense(self.n_out, name="fc")(tap("features", x.mean((1, 2))))


def _averaged(x: Images, size: int) -> Images:
    """Compute the means of squares of pixels as a matrix product, which is faster than sums on a CPU."""
    batch, height, width, channels = x.shape
    height, width = height // size, width // size
    rows = x[:, : height * size, : width * size].reshape(batch * height, -1)
    of_one_row = np.kron(np.eye(width), np.kron(np.ones((size, 1)), np.eye(channels)))
    averaging = np.tile(of_one_row, (size, 1)) / size**2
    means = rows @ jnp.asarray(averaging, x.dtype)
    return means.reshape(batch, height, width, channels)


@dataclass(frozen=True)
class Tiny10:
    """Tiny10 (Csiszárik et al. 2021, arXiv 2110.14633): 86,778 parameters on color images of 10 classes.

    Seven 3x3 convolutions without padding, a 1x1 convolution, the mean over all pixels and a dense layer.

    Attributes:
        normalized: Whether there is batch normalization; "NbnTiny10" has none, and 86,138 parameters.

    Example:
        >>> list(Tiny10().build((32, 32, 3), 10).positions.items())[1:4]
        [('conv1', (30, 30, 16)), ('bn1', (30, 30, 16)), ('relu1', (30, 30, 16))]
    """

    normalized: bool = True

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        stack = ConvStack(
            channels=(16, 16, 32, 32, 32, 64, 64, 64),
            strides=(1, 1, 2, 1, 1, 2, 1, 1),
            sizes=(3,) * 7 + (1,),
            normalized=self.normalized,
            n_out=n_classes,
        )
        return LinenNetwork(stack, shape)


@dataclass(frozen=True)
class StridedCNN:
    """The small network that stitching is calibrated with: five 3x3 convolutions, no normalization.

    Attributes:
        channels: Output channels of each convolution.
        strides: Stride of each.
        pool: The image is averaged over squares of so many pixels inside of the network, MNIST to 14x14, so
            that attacks see the original image.
    """

    channels: tuple[int, ...] = (8, 16, 16, 32, 32)
    strides: tuple[int, ...] = (1, 2, 1, 2, 1)
    pool: int = 2

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels).

        Raises:
            InputError: There are not as many strides as convolutions.
        """
        n_layers = len(self.channels)
        if len(self.strides) != n_layers:
            raise InputError(f"{n_layers} channels need as many strides, not {self.strides}.")
        stack = ConvStack(
            self.channels,
            self.strides,
            (3,) * n_layers,
            padding=1,
            normalized=False,
            pool=self.pool,
            n_out=n_classes,
        )
        return LinenNetwork(stack, shape)
