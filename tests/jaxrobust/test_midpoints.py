"""Midpoint noise levels, on curves whose midpoint is known."""

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.measures.midpoint import fit_midpoint
from jaxrobust.measures.midpoint_search import search_midpoint

LEVELS = np.logspace(-2, 3, 21)  # four per decade
N_SAMPLES = 10_000


def curve(mu, slope=4.0, levels=LEVELS, clean=0.97, chance=0.1):
    return chance + (clean - chance) / (1 + np.exp(slope * (np.log10(levels) - np.log10(mu))))


@pytest.fixture(scope="module")
def trials():
    """A hundred curves of five draws with binomial noise, and their fits."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        mu, slope = 10 ** rng.uniform(-1, 2), rng.uniform(3, 8)
        accuracies = rng.binomial(N_SAMPLES, curve(mu, slope), size=(5, len(LEVELS))) / N_SAMPLES
        found.append((mu, accuracies, fit_midpoint(LEVELS, accuracies)))
    return found


def test_midpoints_are_found_within_two_percent(trials):
    assert max(abs(fit.value / mu - 1) for mu, _, fit in trials) < 0.02


def test_intervals_cover_the_truth(trials):
    assert sum(fit.low <= mu <= fit.high for mu, _, fit in trials) >= 90
    assert np.median([fit.high / fit.low for _, _, fit in trials]) < 1.05


def test_fixed_asymptotes_and_the_half_way_rule_agree(trials):
    for _, accuracies, fit in trials[:20]:
        fixed = fit_midpoint(LEVELS, accuracies, clean=0.97, asymptotes="fixed")
        assert fixed.value == pytest.approx(fit.value, rel=0.03)
        assert (fixed.clean, fixed.chance) == (0.97, 0.1)
        mean = accuracies.mean(0)
        half_way = 10 ** np.interp(-0.535, -mean, np.log10(LEVELS))
        assert half_way == pytest.approx(fit.value, rel=0.06)  # linear between levels


def test_slope_and_asymptotes_are_recovered_without_noise():
    fit = fit_midpoint(LEVELS, curve(3.0, 5.0, clean=0.8, chance=0.25), chance=0.25)
    assert (fit.value, fit.slope, fit.clean, fit.chance) == pytest.approx((3, 5, 0.8, 0.25), rel=1e-3)
    assert np.isnan(fit.low)
    assert fit.is_monotone


@pytest.mark.parametrize(("mu", "censored", "text"), [(1e5, "above", "> 1000"), (1e-4, "below", "< 0.01")])
def test_curves_that_do_not_cross_are_censored(mu, censored, text):
    fit = fit_midpoint(LEVELS, curve(mu, 3.0), clean=0.97)
    assert fit.censored == censored
    assert str(fit) == text


def test_a_curve_that_rises_again_gives_its_last_crossing_and_says_so():
    bump = np.where((LEVELS > 5) & (LEVELS < 40), 0.6, 0.0)
    fit = fit_midpoint(LEVELS, np.maximum(curve(0.5, 8.0), bump))
    assert not fit.is_monotone
    assert 25 < fit.value < 60


def test_networks_are_what_is_drawn_with_replacement():
    mus = np.array([0.8, 1.0, 1.25])
    of_networks = np.stack([np.stack([curve(mu)] * 2) for mu in mus])
    wide = fit_midpoint(LEVELS, of_networks)
    assert wide.low < 0.85
    assert wide.high > 1.2
    one_network = fit_midpoint(LEVELS, of_networks[1:2])
    assert one_network.high - one_network.low < 1e-6


def test_level_zero_gives_the_accuracy_without_noise():
    levels = np.concatenate([[0.0], LEVELS])
    fit = fit_midpoint(levels, np.concatenate([[0.97], curve(2.0)]), asymptotes="fixed")
    assert fit.value == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("levels", "accuracies", "sentence"),
    [
        (LEVELS[::-1], curve(1), "in rising order"),
        (LEVELS, curve(1)[:-1], "with 21 levels"),
        (LEVELS[:4], curve(1)[:4], "at least five"),
        (LEVELS, 0.1 + 0 * LEVELS, "nothing can fall"),
        (LEVELS, np.nan * LEVELS, "not finite"),
    ],
)
def test_bad_curves_are_refused(levels, accuracies, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_midpoint(levels, accuracies)


def test_a_search_reaches_five_percent_with_nine_evaluations():
    rng = np.random.default_rng(1)
    for _ in range(200):
        mu, slope = 10 ** rng.uniform(-1.5, 9), rng.uniform(2.5, 8)

        def evaluate(level, mu=mu, slope=slope):
            return rng.binomial(N_SAMPLES, curve(mu, slope, np.array(level))) / N_SAMPLES

        found = search_midpoint(evaluate, 1e-2, 1e10, clean=0.97)
        assert len(found.evaluations) <= 9
        assert found.value == pytest.approx(mu, rel=0.05)


def test_a_search_tells_a_censored_midpoint_at_once():
    found = search_midpoint(lambda s: 0.9, 1e-2, 1e4, clean=0.97)
    assert (found.censored, found.value, len(found.evaluations)) == ("above", 1e4, 1)
    assert search_midpoint(lambda s: 0.1, 1e-2, 1e4, clean=0.97).censored == "below"
    with pytest.raises(InputError, match="clean > chance"):
        search_midpoint(lambda s: 0.1, 1e-2, 1e4, clean=0.1)
