"""What is averaged, what is refused, and what a comparison of methods is worth."""

import math

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.figures.captions import describe
from jaxrobust.figures.parameter_noise.differences import is_ahead, paired_difference
from jaxrobust.figures.parameter_noise.mismatch import mismatch_table
from jaxrobust.figures.pooling import spread_of
from jaxrobust.figures.series import series
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp


def point(method="Beta", seed=0, level=0.5, accuracies=(0.5, 0.7), **settings):
    about = {"data_source": "digits", "data_is_synthetic": False, "n_test_samples": 400, "split": ""}
    made = {**digits_mlp.make(), **about, "method": method, "seed": seed, "level": level, **settings}
    return {**made, "trained": f"{method}{seed}{settings}", "accuracies": list(accuracies)}


def lines(points, **how):
    return series(points, x="level", y=lambda p: p["accuracies"], **how)


def test_seeds_are_pooled_and_a_setting_that_varies_is_refused():
    assert lines([point(), point(seed=1)]) == {"Beta": {0.5: [0.5, 0.7, 0.5, 0.7]}}
    swept = [point(beta_robustness=0.1), point(beta_robustness=0.5)]
    with pytest.raises(InputError, match=r"differ in beta_robustness \(0\.1 and 0\.5\) would be averaged"):
        lines(swept)
    with pytest.raises(InputError, match="differ in beta_robustness"):
        mismatch_table("", swept)
    assert len(lines(swept, line="beta_robustness")) == 2
    assert len(lines(swept, pooled=("beta_robustness",))["Beta"][0.5]) == 4
    with pytest.raises(InputError, match="differ in n_samples"):
        lines([point(n_samples=10), point(n_samples=20)])


def test_captions_count_networks_per_method():
    two_methods = [point(m, s) for m in ("Standard", "Beta") for s in (0, 1)]
    assert "2 networks per method (seeds 0 and 1), 2 devices per network" in describe(two_methods)
    assert "one network per method (seed 0)" in describe([point("Standard"), point("Beta")])
    text = describe([point()])
    assert "one network (seed 0)" in text
    assert "400 test samples (standard error of an accuracy up to 2.5 points)" in text
    assert "learning rate 0.001" in describe([point(learning_rate=(0.001,))])
    assert "learning rates 0.01 and 0.001" in describe([point(learning_rate=(0.01, 0.001))])


def test_captions_tell_methods_with_fewer_networks_from_others():
    twice = [point(m, s) for m in ("Standard", "Forward noise", "Beta") for s in (0, 1)]
    text = describe([*twice, point("AWP"), point("Dropout")])
    assert "2 networks each of Standard, Forward noise and Beta, one network each of AWP and Dropout" in text
    assert "(seeds 0 and 1)" in text
    assert "2 networks each of Standard, Forward noise and Beta, one network of AWP" in describe(
        [*twice, point("AWP")]
    )


def test_captions_say_which_parameters_are_kept():
    assert "last step" not in describe([point()])
    assert "parameters of the last step, one network" in describe([point(keep="last")])
    assert "last step" not in describe([point(keep="last"), point(seed=1)])


def test_networks_trained_with_growing_weights_are_no_repetitions_of_others():
    growing = [point("Standard", weight_increase=1e5), point("Standard", weight_increase=0.0)]
    assert "one network per setting (seed 0)" in describe(growing)


def test_no_bands_without_bands():
    assert spread_of([[1], [2]]) == "one network per point, hence no bands"
    assert spread_of([[1], [2, 3]]) == "lines: mean over networks, bands: smallest to largest"


def test_differences_are_paired_on_devices_and_their_error_is_over_networks():
    rng = np.random.default_rng(0)
    device = rng.normal(0.5, 0.1, 50)
    one = paired_difference({0: device + 0.02 + rng.normal(0, 0.01, 50)}, {0: device})
    assert one.mean == pytest.approx(0.02, abs=0.005)
    assert one.error < 0.003  # of unpaired devices it would be 0.02
    assert one.n_networks == 1
    two = paired_difference({0: [0.6, 0.8], 1: [0.9]}, {0: [0.5, 0.7], 1: [0.6]})
    assert two.mean == pytest.approx(0.2)
    assert two.error == pytest.approx(0.1)
    assert two.n_networks == 2
    assert math.isnan(paired_difference({0: [0.9]}, {0: [0.8]}).error)
    assert not is_ahead({0: [0.9]}, {0: [0.8]})


def test_bold_is_a_lead_beyond_its_error():
    clear = mismatch_table("", [point("A", accuracies=(0.7, 0.8)), point("B", accuracies=(0.5, 0.61))])
    assert [cell.startswith("**") for cell in clear.rows[0][1:]] == [True, False]
    tie = mismatch_table("", [point("A", accuracies=(0.7, 0.5)), point("B", accuracies=(0.5, 0.69))])
    assert not any("**" in cell for cell in tie.rows[0])
