"""Parameters trained elsewhere, in grid points."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.given_parameters import with_parameters
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "w1": RANDOM.normal(size=(64, 8)).astype(np.float32),
    "b1": np.zeros(8, np.float32),
    "w2": RANDOM.normal(size=(8, 10)).astype(np.float32),
    "b2": np.zeros(10, np.float32),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def point(width=8):
    return training_point(MLP(64, (width,), 10), "digits", schedule=Phases((1.0,), (1e-3,)))


@pytest.mark.parametrize("kind", ["arrays", "npz", "safetensors"])
def test_arrays_and_files(kind, tmp_path):
    given = ARRAYS
    if kind == "npz":
        np.savez(tmp_path / "w.npz", **ARRAYS)
        given = tmp_path / "w.npz"
    if kind == "safetensors":
        save_file(ARRAYS, tmp_path / "w.safetensors")
        given = str(tmp_path / "w.safetensors")
    loaded = load_trained(with_parameters(point(), given), n_samples=3)
    np.testing.assert_array_equal(loaded.variables.parameters["w1"], ARRAYS["w1"])


def test_a_state_dict_of_pytorch_into_a_flat_point():
    state = {"fc1.weight": ARRAYS["w1"].T, "fc1.bias": ARRAYS["b1"], "fc2.weight": ARRAYS["w2"].T,
             "fc2.bias": ARRAYS["b2"]}  # fmt: skip
    flat = digits_mlp.make() | {"n_hidden": (8,)}
    names = {"w1": "fc1.weight", "b1": "fc1.bias", "w2": "fc2.weight", "b2": "fc2.bias"}
    done = with_parameters(flat, state, names=names, axes={"w1": (1, 0), "w2": (1, 0)})
    np.testing.assert_array_equal(load_trained(done, n_samples=3).variables.parameters["w2"], ARRAYS["w2"])
    assert done["trained"] != with_parameters(point(), ARRAYS)["trained"]  # another network
    with pytest.raises(InputError, match="name the order of its axes in axes"):
        with_parameters(flat, state, names=names)


def test_what_does_not_fit_is_refused(tmp_path):
    without = {name: array for name, array in ARRAYS.items() if name != "b2"}
    (tmp_path / "w.npz").write_text("no arrays")
    for given, more, message in (
        (without, {}, "no array for the parameter 'b2'"),
        (ARRAYS | {"w3": np.zeros(2)}, {}, "no place for the array 'w3'"),
        (ARRAYS | {"b1": np.zeros(9)}, {}, r"'b1' has shape \(9,\), but 'b1' needs \(8,\)"),
        (ARRAYS | {"b1": np.full(8, np.nan)}, {}, "'b1' is not finite"),
        (ARRAYS, {"axes": {"w9": (1, 0)}}, "axes has 'w9', which is no parameter"),
        (tmp_path / "w.npz", {}, "is not what its name says"),
        ("w.pt", {}, r"neither a \.safetensors nor an \.npz"),
    ):
        with pytest.raises(InputError, match=message):
            with_parameters(point(), given, **more)
