"""Which parts of the data are read, and when: training and selection never see the test part."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import datajuicer as dj
from jaxrobust import data
from jaxrobust.data.dataset import Examples
from jaxrobust.networks.lipschitz import LipschitzNetwork
from jaxrobust.studies.evaluations import trained
from jaxrobust.studies.lipschitz.robustness import robustness_sweep
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases

pytestmark = pytest.mark.usefixtures("quick_compilation")


@dataclass
class Counted:
    """An array whose shape and type are free to see, and whose numbers are counted when they are read."""

    array: np.ndarray
    reads: list[Any] = field(default_factory=list)

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(np.ndarray, name):  # JAX asks which protocols there are
            raise AttributeError(name)
        if name not in ("shape", "dtype", "ndim", "size"):
            self.reads.append(name)
        return getattr(self.array, name)

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.reads.append(rows)
        return self.array[rows]

    def __array__(self, *how, **more):
        self.reads.append(...)
        return self.array


@pytest.fixture
def parts(monkeypatch):
    """The digits as every study loads them, by part a pair of counted arrays: inputs and labels."""
    digits = data.load("digits")
    names = ("train", "validation", "test")
    counted = {
        name: (Counted(getattr(digits, name).inputs), Counted(getattr(digits, name).labels)) for name in names
    }
    dataset = replace(digits, **{name: Examples(*arrays) for name, arrays in counted.items()})
    monkeypatch.setattr(data, "load", lambda name, **_: dataset)
    trained._on_device.cache_clear()
    yield counted
    trained._on_device.cache_clear()


def test_the_test_part_is_read_once_and_after_the_selection(parts, tmp_path):
    how = {"cache_dir": str(tmp_path), "progress": False}
    shared = {"schedule": Phases((2.0,), (3e-3,)), "batch_size": 100, "eval_step_interval": 5}
    network = LipschitzNetwork("fc", width=0.02)
    grid = dj.split([training_point(network, "digits", **shared) | {"radius": 0.1}], "seed", [0, 1])
    points = dj.run(grid, "train", store_key="*", **how)("{*}")
    for part in ("train", "validation"):
        assert all(array.reads for array in parts[part]), part
    assert all(point["best_step"] > 0 for point in points)
    assert [array.reads for array in parts["test"]] == [[], []]

    for array in (*parts["train"], *parts["validation"]):
        array.reads.clear()
    found = robustness_sweep(points, n_steps=2, mismatch=(0.0, 0.1), **how)
    assert len(found) == 4
    # Once for both networks and levels: the samples stay on the device.
    assert [len(array.reads) for array in parts["test"]] == [1, 1]
    assert not any(array.reads for array in (*parts["train"], *parts["validation"]))
