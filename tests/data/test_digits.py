from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.images.digits import enlarge


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits", (8, 8, 1)), ("digits_28x28", (28, 28, 1)), ("digits_32x32", (32, 32, 3))],
)
def test_shapes_range_and_parts(tmp_path: Path, name: str, shape: tuple[int, ...]):
    dataset = data.load(name, cache=tmp_path)
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [part.inputs.shape[1:] for part in parts] == [shape] * 3
    assert data.blank(name).train.inputs.shape == (1, *shape)
    assert sum(len(part) for part in parts) == 1797
    assert dataset.train.inputs.min() == 0
    assert 0.9 < dataset.train.inputs.max() <= 1
    assert min(min(part.counts(10)) for part in parts) >= 15
    assert not dataset.synthetic


def test_no_image_lies_in_two_parts(tmp_path: Path):
    dataset = data.load("digits", cache=tmp_path)
    rows = [
        {image.tobytes() for image in part.inputs}
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    assert not rows[0] & rows[1] | rows[0] & rows[2] | rows[1] & rows[2]


def test_enlarging_keeps_a_constant_and_puts_zeros_around_it():
    grown = enlarge(np.full((1, 8, 8, 1), 0.5, np.float32), 28, 1)[0, ..., 0]
    np.testing.assert_allclose(grown[2:26, 2:26], 0.5, atol=1e-6)
    assert grown[:2].max() == grown[26:].max() == grown[:, :2].max() == grown[:, 26:].max() == 0


def test_enlarging_interpolates_linearly():
    ramp = np.tile(np.arange(8, dtype=np.float32) / 7, (8, 1)).reshape(1, 8, 8, 1)
    grown = enlarge(ramp, 32, 3)
    np.testing.assert_allclose(np.diff(grown[0, 5, 2:30, 0]), 1 / 28, atol=1e-6)
    np.testing.assert_array_equal(grown[..., 0], grown[..., 2])
