"""Augmentation: drawn from keys, each sample on its own, never more than was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from jaxrobust.errors import InputError
from jaxrobust.training.augmentation import AUGMENTATIONS, FlipAndRotate, TimeShift, augmentation_named

IMAGES = jax.random.uniform(jax.random.key(0), (6, 9, 12, 2))
SEQUENCES = jax.random.normal(jax.random.key(0), (6, 40, 3))


def test_nothing_asked_for_changes_nothing():
    key = jax.random.key(1)
    np.testing.assert_allclose(FlipAndRotate(0.0, 0.0)(key, IMAGES), IMAGES, atol=1e-6)
    np.testing.assert_array_equal(TimeShift(0.0)(key, SEQUENCES), SEQUENCES)


def test_a_certain_flip_is_a_mirror_image():
    flipped = FlipAndRotate(0.0, 1.0)(jax.random.key(1), IMAGES)
    np.testing.assert_allclose(flipped, IMAGES[:, :, ::-1], atol=1e-6)


def test_rotation_against_scipy():
    key = jax.random.key(2)
    rotated = FlipAndRotate(30.0, 0.0)(key, IMAGES)
    angles = np.deg2rad(30) * jax.random.uniform(jax.random.split(key)[0], (6,), minval=-1, maxval=1)
    y, x = np.mgrid[:9, :12] - np.array([4.0, 5.5])[:, None, None]
    for image, found, angle in zip(np.asarray(IMAGES), rotated, np.asarray(angles), strict=True):
        where = [np.cos(angle) * y - np.sin(angle) * x + 4, np.sin(angle) * y + np.cos(angle) * x + 5.5]
        for channel in range(2):
            slow = map_coordinates(image[..., channel], where, order=1, mode="nearest")
            np.testing.assert_allclose(found[..., channel], slow, atol=1e-5)


def test_a_shift_moves_whole_frames_and_repeats_the_edge():
    shifted = np.asarray(TimeShift(0.25)(jax.random.key(3), SEQUENCES))
    found = set()
    for before, after in zip(np.asarray(SEQUENCES), shifted, strict=True):
        shifts = [
            s for s in range(-10, 11) if np.array_equal(after, before[np.clip(np.arange(40) + s, 0, 39)])
        ]
        assert len(shifts) == 1
        found.update(shifts)
    assert len(found) > 2


@pytest.mark.parametrize("name", ["flip_rotate", "time_shift"])
def test_keys_decide_and_jit_agrees(name):
    augment, inputs = AUGMENTATIONS[name], IMAGES if name == "flip_rotate" else SEQUENCES
    one, same, other = (augment(jax.random.key(k), inputs) for k in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == inputs.dtype
    np.testing.assert_allclose(jax.jit(augment)(jax.random.key(4), inputs), one, atol=1e-5)
    assert jnp.all(jnp.isfinite(one))


@pytest.mark.parametrize(
    ("name", "axes", "says"),
    [
        ("flp_rotate", 4, "flip_rotate"),
        ("flip_rotate", 3, "images only"),
        ("time_shift", 4, "sequences only"),
    ],
)
def test_what_does_not_fit_is_said(name, axes, says):
    with pytest.raises(InputError, match=says):
        augmentation_named(name, axes)
