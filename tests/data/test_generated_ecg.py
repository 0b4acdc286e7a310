from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.ecg.generated_ecg import generate_beats


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory) -> data.Dataset:
    return data.load("generated_ecg", cache=tmp_path_factory.mktemp("cache"))


def test_shapes_classes_and_counts(beats: data.Dataset):
    assert beats.synthetic
    assert beats.source == "generated heartbeats (synthetic)"
    assert beats.train.inputs.shape == (4000, 100, 2)
    assert data.blank("generated_ecg").train.inputs.shape == (1, 100, 2)
    assert beats.train.counts(4) == (1000,) * 4
    assert beats.validation.counts(4) == (150,) * 4
    assert beats.test.counts(4) == (250,) * 4


def test_no_patient_lies_in_two_parts(beats: data.Dataset):
    train, validation, test = (set(part.groups) for part in (beats.train, beats.validation, beats.test))
    assert not train & validation | train & test | validation & test


def test_each_lead_is_z_scored(beats: data.Dataset):
    np.testing.assert_allclose(beats.test.inputs.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(beats.test.inputs.std(axis=1), 1, atol=1e-4)


def test_a_patient_is_reproducible_and_differs_from_the_next():
    counts = {"normal": 2, "LBBB": 1, "RBBB": 1, "PVC": 3}
    windows, labels = generate_beats(3, counts)
    again, _ = generate_beats(3, counts)
    other, _ = generate_beats(4, counts)
    assert labels.tolist() == [0, 0, 1, 2, 3, 3, 3]
    np.testing.assert_array_equal(windows, again)
    assert not np.array_equal(windows, other)


def test_linear_models_learn_it_but_not_all_of_it(beats: data.Dataset):
    from sklearn.linear_model import RidgeClassifier

    model = RidgeClassifier()
    model.fit(beats.train.inputs.reshape(len(beats.train), -1), beats.train.labels)
    accuracy = model.score(beats.test.inputs.reshape(len(beats.test), -1), beats.test.labels)
    assert 0.8 < accuracy < 0.98


def test_preparing_twice_gives_the_same_fingerprint(beats: data.Dataset, tmp_path: Path):
    assert data.load("generated_ecg", cache=tmp_path).fingerprint == beats.fingerprint
