"""Evaluations of one network in one call, on data that stay on the device, in full precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust import products
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy, mismatch_sweep
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.evaluations.worst_case import worst_case_sweep
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two networks, and how to run."""
    how = {"cache_dir": tmp_path_factory.mktemp("sessions"), "progress": False}
    point = training_point(MLP(64, (4,), 10), "digits", schedule=Phases((0.1,), (1e-2,)), batch_size=50)
    grid = dj.split([point], "seed", [0, 1])
    return dj.run(grid, "train", store_key="*", **how)("{*}"), how


@pytest.mark.parametrize(
    ("sweep", "store_key"),
    [
        (lambda grid, **how: mismatch_sweep(grid, (0.0, 0.3, 0.6), **how), "accuracies"),
        pytest.param(
            lambda grid, **how: worst_case_sweep(grid, (0.0, 0.1), **how),
            "worst_case",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_levels_of_a_network_in_one_call_have_the_results_they_have_alone(
    trained, sweep, store_key, tmp_path
):
    points, how = trained
    small = [point | {"n_draws": 3, "n_samples": 40} for point in points]
    alone = sweep(small, **how | {"cache_dir": tmp_path / "alone"})
    together = sweep(small, batch=8, **how | {"cache_dir": tmp_path / "together"})
    assert [point[store_key] for point in together] == [point[store_key] for point in alone]
    keys = [
        sorted(record["key"] for name in store.functions() for record in store.records(name))
        for store in (dj.Store(tmp_path / "alone"), dj.Store(tmp_path / "together"))
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == len(alone)


def test_a_level_that_fails_leaves_the_others(trained, tmp_path):
    points, how = trained
    small = [points[0] | {"n_draws": 2, "n_samples": 40}]
    with pytest.raises(dj.RunError, match="mismatch level must be") as caught:
        mismatch_sweep(small, (0.1, -1.0, 0.2), batch=8, **how | {"cache_dir": tmp_path})
    assert len(caught.value.failures) == 1
    assert len(list(dj.Store(tmp_path).records("mismatch_accuracy"))) >= 2


def test_the_next_level_begins_before_the_last_is_read(tmp_path):
    events = []

    def begin(model, level):
        events.append(f"begin {level}")
        return lambda: events.append(f"read {level}") or level

    marked = evaluation(["model:trained", "level"], "eventful", begin)(lambda model, level: level)
    jobs = [dj.Job.local(tmp_path, str(i)) for i in range(2)]
    assert marked.batched(model=[{}, {}], level=[1, 2], job=jobs) == [1, 2]
    assert events == ["begin 1", "begin 2", "read 1", "read 2"]
    assert jobs[0].facts["products"] == "float32"


def test_samples_stay_on_the_device_while_the_same_are_asked_for(trained):
    points, _ = trained
    one, other = load_trained(points[0]), load_trained(points[1])
    assert one.inputs is other.inputs
    assert one.labels is other.labels
    few = load_trained(points[0], n_samples=7)
    assert few.inputs.shape[0] == few.labels.shape[0] == 7
    np.testing.assert_array_equal(load_trained(points[0]).inputs, one.inputs)


def test_records_of_trainings_and_evaluations_name_the_precision_of_products(trained):
    points, how = trained
    dj.run([points[0]], mismatch_accuracy, **how)("{*}", 0.1, 2)
    store = dj.Store(how["cache_dir"])
    for name in ("train_point", "mismatch_accuracy"):
        for record in store.records(name):
            assert record["notes"]["products"] == "float32"
            assert record["notes"]["device"] == jax.devices()[0].device_kind


def test_evaluations_compute_in_full_precision_on_an_accelerator(monkeypatch):
    """On a GPU float32 products are rounded to TF32 unless one asks; here the program is looked at."""
    monkeypatch.setattr(products.jax, "default_backend", lambda: "gpu")
    seen = []

    @evaluation(["x"], "seen")
    def compute(x):
        seen.append(jax.jit(jnp.matmul).lower(x, x).as_text())
        seen.append(products.precision_of_products())

    compute(jnp.ones((2, 2)))
    assert "HIGHEST" in seen[0]
    assert seen[1] == "float32"
    assert products.precision_of_products() == "default (TF32 on GPUs that have it)"
    assert "HIGHEST" not in jax.jit(jnp.matmul).lower(jnp.ones((2, 3)), jnp.ones((3, 2))).as_text()
