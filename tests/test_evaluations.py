"""Evaluations of trained grid points, on two small networks that are trained once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.faults import StuckAt
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.perturbations.perturbation import Chain, Matching
from jaxrobust.studies.evaluations.activity import neuron_activity
from jaxrobust.studies.evaluations.landscape import adversarial_landscape, random_landscape
from jaxrobust.studies.evaluations.mismatch import (
    _devices,
    accuracies_under,
    box_corner_accuracy,
    mismatch_accuracy,
    perturbed_accuracy,
    phase_change_accuracy,
    quantized_accuracy,
)
from jaxrobust.studies.evaluations.spectrum import loss_spectrum
from jaxrobust.studies.evaluations.trained import Trained, load_trained
from jaxrobust.studies.evaluations.verified import verified_test_accuracy
from jaxrobust.studies.evaluations.worst_case import standard_worst_case_accuracy, worst_case_accuracy
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp, ecg_lsnn, network_of
from jaxrobust.studies.side_by_side import dataset_of as load_dataset


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    small = {"beta_robustness": 0.0, "eval_step_interval": 20}
    grid = [
        digits_mlp.make() | small | {"n_epochs": (10.0, 2.0), "n_hidden": (16,)},
        ecg_lsnn.make() | small | {"dataset": "generated_ecg", "n_hidden": 12, "n_epochs": (1.0, 0.2)},
    ]
    grid = dj.configure(grid, {"learning_rate": (1e-2, 1e-3)})
    points = dj.run(grid, "train", cache_dir=folder, store_key="*", progress=False)("{*}")
    return dict(zip(("mlp", "lsnn"), points, strict=True)), {"cache_dir": folder, "progress": False}


def evaluate(trained, which, function, *words, **named):
    points, how = trained
    return dj.run([points[which]], function, **how)("{*}", *words, **named)[0]


@pytest.mark.parametrize("which", ["mlp", "lsnn"])
def test_mismatch_at_level_zero_is_plain_accuracy(trained, which):
    point = trained[0][which]
    dataset = load_dataset(point)
    variables = load_trained(point).variables
    logits = network_of(point, dataset).forward(*variables, dataset.test.inputs).logits
    plain = float(np.mean(np.argmax(np.asarray(logits), axis=-1) == dataset.test.labels))
    assert evaluate(trained, which, mismatch_accuracy, 0.0) == [pytest.approx(plain, abs=1e-6)]


def test_mismatch_hurts_more_the_larger_it_is_and_repeats_exactly(trained):
    means = [
        np.mean(evaluate(trained, "mlp", mismatch_accuracy, level, n_draws=20)) for level in (0.1, 0.7, 2.0)
    ]
    assert means[0] > means[1] > means[2]
    again = evaluate(trained, "mlp", mismatch_accuracy.function, 0.7, n_draws=20)
    assert np.mean(again) == means[1]


@pytest.mark.parametrize("which", ["mlp", "lsnn"])
def test_an_attack_raises_the_loss_step_by_step(trained, which):
    (losses,) = evaluate(trained, which, worst_case_accuracy, 0.2, n_steps=3)["losses"]
    assert len(losses) == 4
    assert losses == sorted(losses)


def test_an_attack_finds_worse_than_chance_corners(trained):
    worst = evaluate(trained, "mlp", worst_case_accuracy, 0.2, n_steps=3)
    assert worst["accuracy"] < np.mean(evaluate(trained, "mlp", box_corner_accuracy, 0.2))


def test_more_restarts_are_another_result_and_never_better(trained):
    one = evaluate(trained, "mlp", worst_case_accuracy, 0.1, n_steps=2)
    three = evaluate(trained, "mlp", worst_case_accuracy, 0.1, n_steps=2, n_restarts=3)
    assert len(three["accuracies"]) == 3
    assert three["accuracy"] <= one["accuracy"]


def test_the_suite_finds_no_more_accuracy_than_the_published_attack(trained):
    published = evaluate(trained, "mlp", worst_case_accuracy, 0.2, n_steps=10)
    found = evaluate(trained, "mlp", standard_worst_case_accuracy, 0.2)
    assert found["accuracy"] <= published["accuracy"]
    lowest_attack = min(min(starts) for starts in found["attacks"].values())
    assert found["accuracy"] == min(found["nominal"], *found["corners"], lowest_attack)
    assert list(found["attacks"]) == ["cross_entropy", "margin", "kl"]
    assert all(all(flags) for flags in found["has_gradient"].values())


def test_devices_that_overflow_are_reported(trained):
    with pytest.warns(UserWarning, match="4 of 4 devices give outputs that are not finite to up to 100%"):
        accuracies = evaluate(trained, "mlp", mismatch_accuracy.function, 1e30, n_draws=4)
    assert accuracies == [0] * 4


def test_landscapes_touch_the_loss_at_the_parameters(trained):
    random = evaluate(trained, "mlp", random_landscape, n_points=11, n_repeats=2)
    adversarial = evaluate(trained, "mlp", adversarial_landscape, n_points=11, n_steps=2)
    middle = [losses[5] for losses in random["losses"] + adversarial["losses"]]
    assert np.ptp(middle) < 1e-5
    assert random["slope"] > 0
    assert adversarial["losses"][0][-1] > adversarial["losses"][0][5]


def test_one_bit_is_worse_than_eight(trained):
    assert evaluate(trained, "mlp", quantized_accuracy, 1) < evaluate(trained, "mlp", quantized_accuracy, 8)


def test_any_perturbation_is_an_argument_and_part_of_the_key(trained):
    accuracy = mismatch_accuracy
    same = evaluate(trained, "mlp", perturbed_accuracy, GaussianMismatch(0.3), n_draws=4)
    assert same == evaluate(trained, "mlp", accuracy, 0.3, n_draws=4)
    broken = Chain((Matching(StuckAt(1.0), "w.*"), GaussianMismatch(0.3)))
    ruined = evaluate(trained, "mlp", perturbed_accuracy, broken, n_draws=4)
    assert max(ruined) < min(same)


def test_part_of_the_samples(trained):
    few = evaluate(trained, "mlp", mismatch_accuracy, 0.0, n_samples=10)
    assert (10 * few[0]) % 1 == pytest.approx(0, abs=1e-6)
    everything = evaluate(trained, "mlp", mismatch_accuracy, 0.0)
    assert evaluate(trained, "mlp", mismatch_accuracy, 0.0, n_samples=10**6) == everything
    with pytest.raises(dj.RunError, match="n_samples is a number of samples"):
        evaluate(trained, "mlp", mismatch_accuracy, 0.0, n_samples=-1)


def test_spiking_activity(trained):
    activity = evaluate(trained, "lsnn", neuron_activity, n_samples=10)
    assert sum(activity["counts"]) == 10 * 100 * 12
    assert 0 <= min(activity["rates"]) <= max(activity["rates"]) <= 0.5  # every other step is refractory
    with pytest.raises(dj.RunError, match="no spiking neurons"):
        evaluate(trained, "mlp", neuron_activity)


def test_the_largest_eigenvalue_of_the_loss(trained):
    spectrum = evaluate(trained, "mlp", loss_spectrum, n_samples=50, n_steps=12)
    assert spectrum["largest"] == pytest.approx(max(spectrum["nodes"][0]), rel=1e-3)
    assert sum(spectrum["weights"][0]) == pytest.approx(1, abs=1e-4)


def test_a_spectrum_that_would_be_wrong_is_refused():
    with pytest.raises(InputError, match="neuron_parameters tau, thr gives no second derivatives"):
        loss_spectrum.function({"neuron_parameters": ("tau", "thr")})


def test_an_untrained_point_is_told_to_be_trained():
    with pytest.raises(InputError, match="train it first"):
        mismatch_accuracy.function(digits_mlp.make(), 0.1)


@pytest.mark.parametrize("level", [-0.1, float("nan"), float("inf")])
def test_levels_are_sizes(trained, level):
    with pytest.raises(dj.RunError, match="at least 0"):
        evaluate(trained, "mlp", mismatch_accuracy, level)


@pytest.mark.parametrize("which", ["mlp", "lsnn"])
def test_verified_accuracy_is_bounded_by_the_accuracy_and_falls_with_the_box(trained, which):
    (plain,) = evaluate(trained, which, mismatch_accuracy, 0.0)
    verified = [evaluate(trained, which, verified_test_accuracy, size) for size in (0.0, 1e-3, 1.0)]
    assert plain + 1e-6 >= verified[0] >= verified[1] >= verified[2] == 0
    assert verified[0] > 0.9 * plain


def test_networks_in_bfloat16_are_not_verified_as_if_they_were_in_float32():
    with pytest.raises(InputError, match="bfloat16"):
        verified_test_accuracy.function({"precision": "bfloat16"}, 1e-3)


def test_phase_change_memory_after_a_year(trained):
    fresh, old = (
        np.mean(evaluate(trained, "mlp", phase_change_accuracy, seconds, n_draws=5))
        for seconds in (25.0, 31536000.0)
    )
    assert 0.1 < old <= fresh


def test_another_level_and_seed_compile_nothing():
    network = MLP(n_in=3, n_hidden=(4,), n_out=2)  # one that no other test has compiled
    inputs, labels = jnp.ones((7, 3)), jnp.zeros(7, jnp.int32)
    point = Trained(network, network.init(jax.random.key(0)), inputs, labels)
    before = _devices._cache_size()
    accuracies_under(point, GaussianMismatch(0.1), n_draws=3, seed=0)
    assert _devices._cache_size() == before + 1
    accuracies_under(point, GaussianMismatch(0.4), n_draws=3, seed=1)
    assert _devices._cache_size() == before + 1
