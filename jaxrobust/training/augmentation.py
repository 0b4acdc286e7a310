"""Augmentation of training batches, drawn afresh from keys at every step; never of other data."""

from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.trees import Number, check_numbers, settings_tree, static


class Augmentation(Protocol):
    """A random change of every sample of a batch."""

    def __call__(self, key: Array, inputs: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """The changed batch, of the same shape and dtype."""
        ...


@settings_tree
@dataclass(frozen=True)
class FlipAndRotate:
    """Mirror images left to right and rotate them, as the published preparation of Fashion-MNIST does.

    Pixels from outside of the image take the value of its nearest pixel.

    Attributes:
        degrees: Largest angle to either side; the angle is uniform.
        flip_probability: Of being mirrored.
    """

    degrees: Number = 10.0
    flip_probability: Number = 0.5

    def __post_init__(self):
        check_numbers(self, "degrees", "flip_probability")

    def __call__(
        self, key: Array, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Change each image on its own."""
        n, height, width, _ = inputs.shape
        key_angle, key_flip = jax.random.split(key)
        angles = jnp.deg2rad(self.degrees) * jax.random.uniform(key_angle, (n,), minval=-1, maxval=1)
        flips = jax.random.bernoulli(key_flip, self.flip_probability, (n,))
        rows, columns = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
        y, x = rows - (height - 1) / 2, columns - (width - 1) / 2

        def change(image: Array, angle: Array, flip: Array) -> Array:
            at_x = jnp.where(flip, -x, x)
            where = [
                jnp.cos(angle) * y - jnp.sin(angle) * at_x + (height - 1) / 2,
                jnp.sin(angle) * y + jnp.cos(angle) * at_x + (width - 1) / 2,
            ]

            def channel(plane: Array) -> Array:
                return jax.scipy.ndimage.map_coordinates(plane, where, order=1, mode="nearest")

            return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)

        return jax.vmap(change)(inputs, angles, flips).astype(inputs.dtype)


@settings_tree
@dataclass(frozen=True)
class TimeShift:
    """Move sequences in time; what comes in at the edge repeats the first or last frame.

    Attributes:
        fraction: Largest shift to either side as a fraction of the length; published 0.1 (100 ms of 1 s).
    """

    fraction: Number = 0.1

    def __post_init__(self):
        check_numbers(self, "fraction", maximum=1)

    def __call__(
        self, key: Array, inputs: Float[Array, "batch time features"]
    ) -> Float[Array, "batch time features"]:
        """Move each sequence on its own, by whole frames."""
        n, n_steps, _ = inputs.shape
        shifts = self.fraction * n_steps * jax.random.uniform(key, (n, 1), minval=-1, maxval=1)
        frames = jnp.clip(jnp.arange(n_steps) + jnp.round(shifts).astype(int), 0, n_steps - 1)
        return jnp.take_along_axis(inputs, frames[..., None], axis=1)


@settings_tree
@dataclass(frozen=True)
class Flip:
    """Mirror images left to right.

    Attributes:
        probability: Of being mirrored.
    """

    probability: Number = 0.5

    def __post_init__(self):
        check_numbers(self, "probability", maximum=1)

    def __call__(
        self, key: Array, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Mirror each image or not."""
        flips = jax.random.bernoulli(key, self.probability, (inputs.shape[0], 1, 1, 1))
        return jnp.where(flips, inputs[:, :, ::-1], inputs)


@settings_tree
@dataclass(frozen=True)
class Crop:
    """Pad images with zeros and cut out a window of their size at random.

    Attributes:
        padding: Pixels added on each side; published 4 for CIFAR-10.
    """

    padding: int = static(default=4)

    def __call__(
        self, key: Array, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Cut each image at a place of its own."""
        n, height, width, channels = inputs.shape
        sides = (self.padding, self.padding)
        padded = jnp.pad(inputs, ((0, 0), sides, sides, (0, 0)))
        corners = jax.random.randint(key, (n, 2), 0, 2 * self.padding + 1)

        def cut(image: Array, corner: Array) -> Array:
            return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, channels))

        return jax.vmap(cut)(padded, corners)


@settings_tree
@dataclass(frozen=True)
class InTurn:
    """Several augmentations, one after the other.

    Attributes:
        augmentations: The first one first.
    """

    augmentations: tuple[Augmentation, ...]

    def __call__(self, key: Array, inputs: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """Change the batch by all of them, with one key each."""
        for i, augmentation in enumerate(self.augmentations):
            inputs = augmentation(jax.random.fold_in(key, i), inputs)
        return inputs


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "flip_rotate": FlipAndRotate(),
    "time_shift": TimeShift(),
    "flip": Flip(),
    "crop": Crop(),
    "crop_flip": InTurn((Crop(), Flip())),
}
# Axes of the inputs that each is for, the batch included; sequences have 3, images 4.
_AXES = {"time_shift": 3, "flip_rotate": 4, "flip": 4, "crop": 4, "crop_flip": 4}


def augmentation_named(name: str, input_axes: int) -> Augmentation | None:
    """The augmentation of a name, with its published constants.

    Args:
        name: One of ``AUGMENTATIONS``.
        input_axes: Axes of the inputs, the batch included: 4 for images, 3 for sequences.

    Raises:
        InputError: There is none of that name, or it is for other data.
    """
    if name not in AUGMENTATIONS:
        hint = nearest(name, AUGMENTATIONS)
        raise InputError(f"augmentation must be one of {', '.join(AUGMENTATIONS)}, not {name!r}.{hint}")
    if _AXES.get(name, input_axes) != input_axes:
        raise InputError(f"augmentation={name} is for {'images' if input_axes == 3 else 'sequences'} only.")
    return AUGMENTATIONS[name]
