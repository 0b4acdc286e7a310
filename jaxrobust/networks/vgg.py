"""VGG (Simonyan and Zisserman 2015) for small images, with one dense layer."""

from typing import Literal

import jax.numpy as jnp
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

SAME = ((1, 1), (1, 1))
# Channels of the convolutions of each block; a pooling follows every block.
BLOCKS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


class VggModule(nn.Module):
    """Blocks of 3x3 convolutions with 2x2 max-pooling, the mean over pixels, one dense layer; see ``vgg``.

    Attributes:
        blocks: Channels of the convolutions of each block.
        n_out: Classes.
        normalization: Batch normalization before every ReLU; None for none.
        ends_bare: Whether the last convolution is followed by neither normalization, ReLU nor pooling.
    """

    blocks: tuple[tuple[int, ...], ...] = BLOCKS[11]
    n_out: int = 10
    normalization: BatchNorm | None = None
    ends_bare: bool = False

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Float[Array, "batch classes"]:
        """Compute the logits."""
        number, last = 0, sum(map(len, self.blocks))
        for place, block in enumerate(self.blocks, start=1):
            for channels in block:
                number += 1
                x = Convolution(channels, (3, 3), padding=SAME, name=f"conv{number}")(x)
                if not (self.ends_bare and number == last):
                    x = self._rectified(x, number, training, tap)
            if not (self.ends_bare and number == last):
                x = tap(f"pool{place}", max_pool(x))
        x = tap("features", jnp.mean(x, axis=(1, 2)))
        return Dense(self.n_out, name="logits")(x)

    def _rectified(self, x: Array, number: int, training: bool, tap: Tap) -> Array:
        if self.normalization:
            x = Normalization(self.normalization, name=f"bn{number}")(x, training=training)
        return tap(f"relu{number}", nn.relu(x))


def vgg(
    depth: Literal[11, 13, 16, 19] = 11,
    image: tuple[int, int, int] = (32, 32, 3),
    n_out: int = 10,
    normalization: BatchNorm | None = None,
) -> LinenNetwork:
    """Return VGG of a depth; for images below 32x32 pixels the last block loses its pooling.

    28x28 images are halved four times, so that the last convolution ends in one pixel; as published, it is
    then followed by neither batch normalization nor ReLU.

    Positions: ``input, conv1, bn1, relu1, pool1, conv2, …, features`` (the mean over pixels), ``logits``.

    Args:
        depth: 11, 13, 16 or 19 layers.
        image: Height, width and channels.
        n_out: Classes.
        normalization: ``BatchNorm(variance="unbiased")`` for the published one; None for none.

    Raises:
        InputError: There is no such depth, or the images are too small.

    Example:
        >>> len(vgg(11, normalization=BatchNorm()).positions), len(vgg(11).positions)
        (32, 24)
    """
    if depth not in BLOCKS:
        raise InputError(f"There is no VGG{depth}, only VGG11, VGG13, VGG16 and VGG19.")
    smallest = min(image[:2])
    if smallest < 16:
        raise InputError(f"VGG needs images of at least 16x16 pixels, not {image}.")
    return LinenNetwork(VggModule(BLOCKS[depth], n_out, normalization, ends_bare=smallest < 32), tuple(image))
