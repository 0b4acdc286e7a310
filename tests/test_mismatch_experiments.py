"""Experiments on mismatch and phase-change memory: their grids, and the way from grid to figure."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.cli.experiments import grid_of, load_experiments
from jaxrobust.studies.availability import on_stand_ins
from jaxrobust.studies.evaluations.examples import example_answers, example_inputs
from jaxrobust.studies.evaluations.mismatch import weight_noise_sweep
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp, family_of, network_of
from jaxrobust.studies.side_by_side import dataset_of

# Networks under the published and under the short protocol. As in the published code, but Beta
# on images has two seeds, and adversarial_tune has the 20 networks with noise alone and the 2 without noise.
N_MODELS = {
    "adversarial_tune": (320 + 20 + 2, 13),
    "amp_experiment": (30, 15),
    "awp_experiment": (12, 12),
    "awp_sweep": (12, 12),
    "mismatch_experiment": (36, 18),
    "pcm_sim_robustness": (18, 6),
    "vary_n_attack_steps": (70, 6),
}
# What is trained here in the place of a network: small and plain, so that each program compiles once.
QUICK = {
    "ecg_lsnn": {"n_hidden": 8, "n_epochs": (0.2,)},
    "speech_lsnn": {"n_hidden": 8, "n_epochs": (0.2,)},
    "cnn": {"n_epochs": (0.2,)},
    "resnet32": {"n_blocks": 1, "n_epochs": (0.1,)},
}
PLAIN = {
    "learning_rate": (1e-3,),
    "eval_step_interval": 10,
    "beta_robustness": 0.0,
    "noisy_forward_std": 0.0,
    "noisy_forward_mode": "ind",
    "n_attack_steps": 1,
    "warmup": 0.0,
    "weight_clipping": 0.0,
    "dropout_prob": 0.0,
    "awp": False,
    "amp_size": 0.0,
    "eps_pga": 0.0,
    "attack_size_mismatch": 0.0,
}

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


@pytest.fixture(scope="module")
def how(tmp_path_factory):
    return {"cache_dir": tmp_path_factory.mktemp("sessions"), "progress": False}


def short_grid(name):
    experiment = load_experiments([name], EXPERIMENTS)[name]
    return experiment, grid_of(experiment, "short", {})


def quickly_trained(points, how):
    """Plain small networks with the settings that the figures name."""
    quick = [{**point, **PLAIN, **QUICK[point["architecture"]]} for point in on_stand_ins(points)]
    trained = dj.run(quick, "train", store_key="*", **how)("{*}")
    return [
        {**network, **{key: point[key] for key in PLAIN}}
        for network, point in zip(trained, points, strict=True)
    ]


@pytest.mark.parametrize("name", N_MODELS)
def test_grids_have_the_published_models(name):
    experiment = load_experiments([name], EXPERIMENTS)[name]
    grids = [grid_of(experiment, protocol, {}) for protocol in ("published", "short")]
    assert tuple(map(len, grids)) == N_MODELS[name]
    for point in [point for grid in grids for point in grid]:
        family_of(point).check(point)


def test_speech_is_trained_with_its_own_beta():
    _, grid = short_grid("mismatch_experiment")
    betas = {
        (point["architecture"], point["method"]): point["beta_robustness"]
        for point in grid
        if point["beta_robustness"]
    }
    assert betas["speech_lsnn", "Beta"] == betas["speech_lsnn", "Forward noise + beta"] == 0.5
    assert (betas["cnn", "Beta"], betas["cnn", "Forward noise + beta"]) == (0.25, 0.1)


# Some of the sweeps, which are alike, are drawn by `make test-slow` alone.
SLOW = ("adversarial_tune", "pcm_sim_robustness", "amp_experiment", "vary_n_attack_steps")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in N_MODELS]
)
def test_from_grid_to_figure(name, how, tmp_path):
    experiment, grid = short_grid(name)
    # The sweeps look the same for every network, and the CNN is the slowest.
    shown = [p for p in grid if p["architecture"] != "cnn" or name == "mismatch_experiment"]
    trained = quickly_trained([{**point, "n_draws": 2, "n_samples": 20} for point in shown], how)
    evaluated = experiment.evaluate(trained, **how)
    # Numbers alone: no weights.
    numbers = [{key: value for key, value in point.items() if key != "parameters"} for point in evaluated]
    files = {path.suffix: path for path in experiment.visualize(numbers, tmp_path)}
    assert files.keys() == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}
    assert all(path.stem == name and path.stat().st_size for path in files.values())
    caption = files[".txt"].read_text()
    assert "synthetic" in caption or "scikit-learn" in caption
    assert "shortened from" in caption
    assert "20 of" in caption
    assert ("ResNet8 instead of ResNet32" in caption) == (shown[0]["architecture"] == "resnet32")
    with files[".csv"].open() as text:
        rows = list(csv.DictReader(text))
    means = [float(row.get("mean_percent") or row["mean"]) for row in rows]
    assert means
    assert all(math.isfinite(mean) for mean in means)
    assert files[".tex"].read_text().count(r"\toprule") == files[".md"].read_text().count("\n|---|")
    assert len(experiment.evaluate(trained, run_mode="load", **how)) == len(evaluated)


def test_examples_show_the_inputs_and_what_the_network_answers(how):
    settings = {"beta_robustness": 0.0, "n_epochs": (5.0, 1.0), "n_hidden": (16,)}
    (model,) = dj.run([digits_mlp.make() | settings], "train", store_key="*", **how)("{*}")
    (stored,) = dj.run([model], example_answers, **how)("{*}", 0.0, n_examples=30)
    _, variables, inputs, labels = load_trained(model, n_samples=30)
    logits = network_of(model, dataset_of(model)).forward(*variables, inputs).logits
    assert stored["answers"] == np.argmax(logits, axis=-1).tolist()
    assert stored["labels"] == labels.tolist()
    step = np.ptp(inputs) / 255
    assert np.max(np.abs(example_inputs(stored["inputs"]) - inputs)) <= 0.51 * step
    (elsewhere,) = dj.run([model], example_answers, **how)("{*}", 3.0, n_examples=30)
    assert elsewhere["answers"] != stored["answers"]


def test_noise_reaches_the_weights_alone(how):
    _, grid = short_grid("adversarial_tune")
    (model,) = quickly_trained([{**grid[0], "n_draws": 2, "n_samples": 20}], how)
    points = [{**model, "noise": noise, "noise_mode": "range"} for noise in (0.0, 1.0)]
    quiet, loud = (point["accuracies"] for point in weight_noise_sweep(points, **how))
    assert quiet[0] == quiet[1]
    assert loud != quiet
