"""Experiments on attacks, landscapes, spectra and sweeps: their grids, and the way from grid to figure."""

import json
from pathlib import Path

import pytest

import datajuicer as dj
from jaxrobust.cli.experiments import grid_of, load_experiments
from jaxrobust.studies.availability import on_stand_ins
from jaxrobust.studies.parameter_noise.catalogue import family_of

# Models under the published and under the short protocol, as in the published code; but the
# comparison of regularisers has ABCD too, the two MLPs of the weight magnitudes are trained for four lengths
# of time each, Hessians are those of the mismatch experiment's networks; precision and normalisation are our
# own questions.
N_MODELS = {
    "adversarial_landscape_experiment": (36, 18),
    "boundary_loss_experiment": (4, 4),
    "constant_attack_experiment": (40, 4),
    "hessian_experiment": (36, 18),
    "interval_propagation_experiment": (16, 8),
    "landscape_experiment": (36, 18),
    "landscape_vary_beta_experiment": (36, 18),
    "methods_random_experiment": (2, 2),
    "methods_random_vary_beta_experiment": (4, 4),
    "normalisation_experiment": (4, 4),
    "precision_experiment": (8, 8),
    "quantization_experiment": (20, 2),
    "regularization_comparison_experiment": (15, 15),
    "sgd_experiment": (20, 2),
    "treat_as_constant_experiment": (6, 6),
    "weight_magnitude_experiment": (48, 16),
    "worst_case_experiment": (30, 15),
    "attack_suite_experiment": (30, 6),
}
# Experiments whose networks are among those of the mismatch experiment.
SHARED = [
    "adversarial_landscape_experiment",
    "attack_suite_experiment",
    "hessian_experiment",
    "interval_propagation_experiment",
    "landscape_experiment",
    "worst_case_experiment",
]
LARGE = [*SHARED, "landscape_vary_beta_experiment"]
# What a network is trained with here, whatever stands for it in the experiment: programs compile once.
QUICK = {
    "ecg_lsnn": {"n_hidden": 8, "n_epochs": (0.2,)},
    "speech_lsnn": {"n_hidden": 8, "n_epochs": (0.2,)},
    "cnn": {"n_epochs": (0.2,)},
    "mnist_mlp": {"n_hidden": (16, 16), "n_epochs": (2.0,)},
}
PLAIN = {
    "seed": 0,
    "batch_size": 100,
    "optimizer": "adam",
    "learning_rate": (1e-3,),
    "eval_step_interval": 10,
    "beta_robustness": 0.0,
    "noisy_forward_std": 0.0,
    "dropout_prob": 0.0,
    "awp": False,
    "l1_weight_decay": 0.0,
    "l2_weight_decay": 0.0,
}

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    return tmp_path_factory.mktemp("sessions")


def experiment_named(name):
    return load_experiments([name], EXPERIMENTS)[name]


def quickly_trained(points, sessions):
    """The points with plain small networks in the places of their own, but their settings for the figures."""
    quick = [{**point, **PLAIN, **QUICK[point["architecture"]]} for point in on_stand_ins(points)]
    trained = dj.run(quick, "train", cache_dir=sessions, progress=False, store_key="*")("{*}")
    kept = set(PLAIN) - {"seed"}
    return [
        {**network, **{key: value for key, value in point.items() if key in kept}}
        for network, point in zip(trained, points, strict=True)
    ]


@pytest.mark.parametrize("name", N_MODELS)
def test_grids_have_the_published_models(name):
    experiment = experiment_named(name)
    grids = [grid_of(experiment, protocol, {}) for protocol in ("published", "short")]
    assert tuple(map(len, grids)) == N_MODELS[name]
    for point in [point for grid in grids for point in grid]:
        family_of(point).check(point)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("protocol", ["published", "short"])
def test_networks_of_the_mismatch_experiment_are_not_trained_again(name, protocol):
    def settings(point):
        return json.dumps({key: point[key] for key in family_of(point).settings}, sort_keys=True)

    there = {settings(point) for point in grid_of(experiment_named("mismatch_experiment"), protocol, {})}
    assert all(settings(point) in there for point in grid_of(experiment_named(name), protocol, {}))


# Those that are like others, and drawn by `make test-slow` alone.
SLOW = (
    "attack_suite_experiment",
    "methods_random_experiment",
    "methods_random_vary_beta_experiment",
    "normalisation_experiment",
    "precision_experiment",
    "treat_as_constant_experiment",
    "weight_magnitude_experiment",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in N_MODELS]
)
def test_from_grid_to_figure(name, sessions, tmp_path):
    experiment = experiment_named(name)
    grid = grid_of(experiment, "short", {})
    # One experiment with several panels is enough, of two kinds of networks.
    shown = {"ecg_lsnn", "speech_lsnn"} if name == "worst_case_experiment" else {"ecg_lsnn"}
    grid = [point for point in grid if point["architecture"] in shown] if name in LARGE else grid
    how = {"cache_dir": sessions, "progress": False}
    trained = quickly_trained([{**point, "n_samples": 20, "n_draws": 2} for point in grid], sessions)
    evaluated = experiment.evaluate(trained, **how)
    # Numbers alone: neither weights nor data.
    numbers = [{key: value for key, value in point.items() if key != "parameters"} for point in evaluated]
    files = experiment.visualize(numbers, tmp_path)
    assert {path.suffix for path in files} >= {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}
    assert all(path.parent == tmp_path and path.stat().st_size for path in files)
    assert all(path.stem.startswith(name) for path in files)
    captions = [path.read_text() for path in files if path.suffix == ".txt"]
    assert all("synthetic" in text or "scikit-learn" in text for text in captions)
    assert all("shortened from" in text for text in captions)
    # Drawn a second time from stored numbers: nothing is computed.
    again = experiment.evaluate(trained, run_mode="load", **how)
    assert len(again) == len(evaluated)
