"""Changing the number of pixels without expanding distances: invertible downsampling and pooling."""

from typing import Any, Literal, get_args

import jax.numpy as jnp
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.layers.images import Images
from jaxrobust.layers.lipschitz.bounds import Bound, Shape
from jaxrobust.numerics import largest, root

Pooling = Literal["l2", "max", "average"]


def check_divides(size: int, image: Shape, what: str) -> None:
    """Raise ``InputError`` for an image that windows of a size do not fill."""
    if image[0] % size or image[1] % size:
        raise InputError(f"{what} of {size} does not divide an image of {image[0]}x{image[1]} pixels.")


def space_to_depth(x: Images, size: int) -> Images:
    """Move every square of pixels into the channels: a permutation.

    Channels are ordered by input channel, then row, then column, as published.

    Example:
        >>> space_to_depth(jnp.arange(8.0).reshape(1, 2, 2, 2), 2)[0, 0, 0].tolist()
        [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]
    """
    batch, height, width, channels = x.shape
    check_divides(size, (height, width), "A stride")
    x = x.reshape(batch, height // size, size, width // size, size, channels)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(batch, height // size, width // size, -1)


def depth_to_space(x: Images, size: int) -> Images:
    """Undo ``space_to_depth``.

    Raises:
        InputError: The number of channels is no multiple of the square's pixels.
    """
    batch, height, width, channels = x.shape
    if channels % size**2:
        raise InputError(f"{channels} channels do not make squares of {size}x{size} pixels.")
    x = x.reshape(batch, height, width, channels // size**2, size, size)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(batch, height * size, width * size, -1)


def pool(x: Images, size: int, kind: Pooling) -> Images:
    """Pool windows that do not overlap; no kind expands distances.

    ``"l2"`` is the norm of each window, whose gradient has norm 1 (0 at a window of zeros); ``"max"``
    selects; ``"average"`` is the sum divided by ``size``, since dividing by ``size^2`` would lose a
    factor ``size``."""
    batch, height, width, channels = x.shape
    check_divides(size, (height, width), "Pooling")
    windows = x.reshape(batch, height // size, size, width // size, size, channels)
    if kind == "l2":
        return root(jnp.sum(windows**2, axis=(2, 4)))
    if kind == "max":
        return largest(windows, (2, 4))
    return jnp.sum(windows, axis=(2, 4)) / size


class SpaceToDepth(nn.Module):
    """Invertible downsampling (PixelUnshuffle).

    Attributes:
        size: Width of the squares.
    """

    size: int

    def __call__(self, x: Images) -> Images:
        """Permute."""
        return space_to_depth(x, self.size)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """An isometry."""
        del parameters
        check_divides(self.size, shape[:2], "A stride")
        height, width, channels = shape
        return Bound(1.0, (height // self.size, width // self.size, channels * self.size**2), True)


class Pool(nn.Module):
    """Pooling of windows that do not overlap.

    Attributes:
        size: Width of the windows.
        kind: ``"l2"``, ``"max"`` or ``"average"``; see ``pool``.
    """

    size: int = 2
    kind: Pooling = "l2"

    def __post_init__(self):
        if self.kind not in get_args(Pooling):
            raise InputError(f"Pooling is one of {', '.join(get_args(Pooling))}, not {self.kind!r}.")
        super().__post_init__()

    def __call__(self, x: Images) -> Images:
        """Pool."""
        return pool(x, self.size, self.kind)

    @nn.nowrap
    def lipschitz(self, parameters: Any, shape: Shape) -> Bound:
        """1; all but the average preserve the norm of gradients almost everywhere."""
        del parameters
        check_divides(self.size, shape[:2], "Pooling")
        height, width, channels = shape
        return Bound(1.0, (height // self.size, width // self.size, channels), self.kind != "average")
