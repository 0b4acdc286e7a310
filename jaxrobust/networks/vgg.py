"""VGG (Simonyan and Zisserman 2015) for small images, with one dense layer or with three."""

from dataclasses import dataclass
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
# Running variances as PyTorch remembers them, so that its weights can be imported.
NORM = BatchNorm(variance="unbiased")
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
        x = convolve_blocks(x, self.blocks, self.normalization, self.ends_bare, training, tap)
        return Dense(self.n_out, name="logits")(tap("features", jnp.mean(x, axis=(1, 2))))


class VggClassifier(nn.Module):
    """The same blocks followed by hidden dense layers with ReLU and dropout, as the stitching study has it.

    Attributes:
        blocks: Channels of the convolutions of each block.
        n_out: Classes.
        normalization: Batch normalization before every ReLU of the blocks; None for none.
        n_hidden: Units of the hidden dense layers.
        dropout: Probability of a hidden unit to be dropped in training.
        ends_bare: As of ``VggModule``.
    """

    blocks: tuple[tuple[int, ...], ...] = BLOCKS[11]
    n_out: int = 10
    normalization: BatchNorm | None = None
    n_hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.5
    ends_bare: bool = False

    @nn.compact
    def __call__(self, x: Images, *, training: bool, tap: Tap) -> Float[Array, "batch classes"]:
        """Compute the logits."""
        x = convolve_blocks(x, self.blocks, self.normalization, self.ends_bare, training, tap)
        x = tap("features", jnp.mean(x, axis=(1, 2)))
        for number, units in enumerate(self.n_hidden, start=1):
            x = tap(f"fc_relu{number}", nn.relu(Dense(units, name=f"fc{number}")(x)))
            x = nn.Dropout(self.dropout, deterministic=not training, name=f"dropout{number}")(x)
        return Dense(self.n_out, name="logits")(x)


def convolve_blocks(
    x: Images,
    blocks: tuple[tuple[int, ...], ...],
    normalization: BatchNorm | None,
    ends_bare: bool,
    training: bool,
    tap: Tap,
) -> Images:
    """Compute all blocks within a compact Linen module, to which their layers then belong."""
    number, last = 0, sum(map(len, blocks))
    for place, block in enumerate(blocks, start=1):
        for channels in block:
            number += 1
            x = Convolution(channels, (3, 3), padding=SAME, name=f"conv{number}")(x)
            if ends_bare and number == last:
                return x
            if normalization:
                x = Normalization(normalization, name=f"bn{number}")(x, training=training)
            x = tap(f"relu{number}", nn.relu(x))
        x = tap(f"pool{place}", max_pool(x))
    return x


@dataclass(frozen=True)
class Vgg:
    """VGG with hidden dense layers of 256 and 128 units: VGG-11 has 9,391,498 parameters for 10 classes.

    Positions: those of ``vgg`` up to ``features``, then ``fc1``, ``fc_relu1``, ``dropout1``, ``fc2``,
    ``fc_relu2``, ``dropout2``, ``logits``.

    Attributes:
        depth: 11, 13, 16 or 19 layers.
        normalized: Whether every convolution is followed by batch normalization.
        n_hidden: Units of the hidden dense layers.
        dropout: Probability of a hidden unit to be dropped in training.

    Raises:
        InputError: There is no such depth, or the images are too small.
    """

    depth: int = 11
    normalized: bool = True
    n_hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.5

    def __post_init__(self):
        check_depth(self.depth)

    def build(self, shape: tuple[int, ...], n_classes: int) -> LinenNetwork:
        """Return the network for images of a shape (height, width, channels)."""
        ends_bare = check_image(shape)
        norm = NORM if self.normalized else None
        module = VggClassifier(
            BLOCKS[self.depth], n_classes, norm, self.n_hidden, self.dropout, ends_bare=ends_bare
        )
        return LinenNetwork(module, shape)


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
    check_depth(depth)
    ends_bare = check_image(image)
    return LinenNetwork(VggModule(BLOCKS[depth], n_out, normalization, ends_bare=ends_bare), tuple(image))


def check_depth(depth: int) -> None:
    """Raise ``InputError`` if there is no VGG of a depth."""
    if depth not in BLOCKS:
        raise InputError(f"There is no VGG{depth}, only VGG11, VGG13, VGG16 and VGG19.")


def check_image(image: tuple[int, ...]) -> bool:
    """Return whether images are so small that the last block ends bare.

    Raises:
        InputError: They are too small for any VGG.
    """
    smallest = min(image[:2])
    if smallest < 16:
        raise InputError(f"VGG needs images of at least 16x16 pixels, not {image}.")
    return smallest < 32
