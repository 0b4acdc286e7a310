"""Blank data sets: shape and classes before the data are there; samples at even distances."""

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.dataset import Examples

BUILT_IN = ("digits", "digits_28x28", "digits_32x32", "generated_ecg")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_blank_data_set_has_the_shape_and_classes_of_the_data(name, tmp_path):
    blank, loaded = data.blank(name), data.load(name, cache=tmp_path)
    assert blank.classes == loaded.classes
    assert blank.train.inputs.shape[1:] == loaded.train.inputs.shape[1:]


def test_a_split_may_have_other_classes():
    assert data.blank("mitdb").classes == ("normal", "LBBB", "RBBB", "PVC")
    assert data.blank("mitdb", split="patients_normal_pvc").classes == ("normal", "PVC")


@pytest.mark.parametrize(
    ("n_samples", "chosen"), [(0, range(7)), (3, (0, 2, 4)), (7, range(7)), (9, range(7))]
)
def test_samples_are_taken_at_even_distances(n_samples, chosen):
    numbers = np.arange(7)
    examples = Examples(np.float32(numbers)[:, None], np.int32(numbers), numbers)
    found = examples.at_even_distances(n_samples)
    for array in (found.inputs[:, 0], found.labels, found.groups):
        assert array.tolist() == list(chosen)
