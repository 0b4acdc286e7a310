"""Mismatch of, and attacks on, stored kernels: what is perturbed, the grid, and a toy up to its figure."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.errors import InputError
from jaxrobust.figures.lipschitz.stored import draw_stored
from jaxrobust.networks.lipschitz import LipschitzNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.lipschitz import robustness
from jaxrobust.studies.lipschitz.robustness import lipschitz_robustness
from jaxrobust.studies.lipschitz.stored import (
    LEVELS,
    METHODS,
    SIZES,
    evaluate_stored,
    load_stored,
    stored_grid,
    stored_mismatch,
    stored_worst_case,
)
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Phases

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_the_grid_shares_its_lipschitz_networks_with_the_study():
    grid = stored_grid()
    assert [p["line"] for p in grid] == ["BCOP (Lipschitz)", "RKO (Lipschitz)", *METHODS]
    study = (
        importlib.import_module("experiments.lipschitz.lipschitz_digits").lipschitz_digits().train_grid()[:2]
    )
    keys = [[p["key"] for p in dj.planned(points, "train", "key")("{*}")] for points in (grid[:2], study)]
    assert keys[0] == keys[1]
    experiment = importlib.import_module("experiments.lipschitz.lipschitz_parameters").lipschitz_parameters()
    assert len(experiment.train_grid()) == 6


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A narrow Lipschitz network and a small plain one, two epochs each, evaluated."""
    how = {"cache_dir": str(tmp_path_factory.mktemp("stored") / "sessions"), "progress": False}
    network = LipschitzNetwork("fc", width=0.02)
    shared = {"schedule": Phases((2.0,), (3e-3,)), "batch_size": 100}
    points = [
        {**training_point(network, "digits", **shared), "line": "BCOP (Lipschitz)", "radius": 0.1},
        {**training_point(MLP(64, (8,), 10), "digits", **shared), "line": "Standard"},
    ]
    points = dj.run(points, "train", store_key="*", **how)("{*}")
    return evaluate_stored(points, n_draws=2, n_samples=60, **how)


@pytest.mark.slow
def test_kernels_are_perturbed_and_not_what_they_are_made_of(finished):
    lipschitz = next(p for p in finished if "radius" in p)
    stored = load_stored(lipschitz, 10)
    matrix = np.asarray(stored.variables.parameters["fc1"]["kernel"])
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1, atol=1e-4)
    # Computed again from deviating parameters, kernels would be orthogonal again and the constant 1.
    constants = [
        lipschitz_robustness(lipschitz, 0.1, 1, n_samples=10, mismatch=m)["constant"] for m in (0.0, 0.3)
    ]
    assert constants[0] == pytest.approx(1, abs=1e-4)
    assert constants[1] > 1.05


@pytest.mark.slow
def test_every_point_is_measured_at_every_level_and_size(finished):
    assert len(finished) == 2
    for point in finished:
        assert tuple(point["mismatched"]) == LEVELS
        assert tuple(point["attacked"]) == SIZES
        assert tuple(point["certified"]) == (LEVELS if "radius" in point else ())
        assert point["mismatched"][0.0] == [pytest.approx(point["attacked"][0.0])]
        assert point["attacked"][SIZES[-1]] <= point["attacked"][0.0]
    certified = next(p for p in finished if "radius" in p)["certified"]
    assert certified[0.0]["certified"] <= certified[0.0]["pgd"]


@pytest.mark.slow
def test_one_figure_holds_all(finished, tmp_path):
    paths = draw_stored(finished, tmp_path, "stored")
    assert {path.suffix for path in paths} == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}
    text = (tmp_path / "stored.md").read_text()
    assert "### Mismatch" in text
    assert "| ζ | BCOP (Lipschitz) | Standard |" in text
    lines = (tmp_path / "stored.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * (1 + 4 * 2) + 2 * len(SIZES) + len(LEVELS)
    with pytest.raises(InputError, match="needs evaluated points"):
        draw_stored([{"line": "x"}], tmp_path, "none")


@pytest.mark.parametrize("function", [stored_mismatch, stored_worst_case])
def test_sizes_below_zero_are_refused(function):
    with pytest.raises(InputError, match="at least 0"):
        function({"trained": "x"}, -0.1)


@pytest.mark.slow
def test_logits_that_are_no_numbers_withstand_no_attack(finished, monkeypatch):
    lipschitz = next(p for p in finished if "radius" in p)
    nan = jnp.full((10, 10), jnp.nan)
    monkeypatch.setattr(robustness, "_logits", lambda *_: nan)
    unfooled = jnp.zeros(10, bool)
    monkeypatch.setattr(robustness, "_attacked", lambda network, baked, statistics, x, *_: (x, unfooled))
    found = lipschitz_robustness(lipschitz, 0.1, 1, n_samples=10)
    assert found["clean"] == found["certified"] == found["pgd"] == found["fgsm"] == 0
