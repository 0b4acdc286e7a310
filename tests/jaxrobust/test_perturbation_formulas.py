"""Each perturbation against its formula in NumPy or the statistics it must have."""

from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrobust.perturbations import phase_change_memory as pcm
from jaxrobust.perturbations.faults import BitFlips, Quantization, StuckAt
from jaxrobust.perturbations.mismatch import BoxCorner, LogNormalMismatch, WeightRangeNoise, gaussian_mismatch
from jaxrobust.perturbations.noise import AdditiveNoise, AdditiveUniform, CombinedNoise, MultiplicativeNoise
from jaxrobust.perturbations.perturbation import Chain
from jaxrobust.perturbations.phase_change_memory import PhaseChangeMemory

N = 40_000
THETA = jnp.full((N,), -0.7, jnp.float32)
KEY = jax.random.key(0)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def moments(values):
    values = np.asarray(values, np.float64)
    centred = values - values.mean()
    return values.mean(), values.std(), np.mean(centred**3) / values.std() ** 3


# The standard error of a mean of N is std / sqrt(N), of a standard deviation std / sqrt(2 N): five of them.
MEAN, STD = 5 / np.sqrt(N), 5 / np.sqrt(2 * N)


def test_gaussian_mismatch_has_the_relative_standard_deviation():
    mean, std, skewness = moments(gaussian_mismatch(KEY, THETA, 0.3))
    assert mean == pytest.approx(-0.7, abs=MEAN * 0.21)
    assert std == pytest.approx(0.21, rel=STD)
    assert abs(skewness) < 5 * np.sqrt(6 / N)
    np.testing.assert_array_equal(gaussian_mismatch(KEY, THETA, 0.0), THETA)


def test_log_normal_mismatch_is_normal_in_the_logarithm_and_keeps_the_sign():
    moved = LogNormalMismatch(0.3).perturb(KEY, THETA)
    assert np.all(moved < 0)
    mean, std, skewness = moments(np.log(np.asarray(moved) / -0.7))
    assert mean == pytest.approx(0, abs=MEAN * 0.3)
    assert std == pytest.approx(0.3, rel=STD)
    assert abs(skewness) < 5 * np.sqrt(6 / N)


def test_additive_noise_has_its_absolute_size():
    _, std, _ = moments(AdditiveNoise(0.3).perturb(KEY, THETA))
    assert std == pytest.approx(0.3, rel=STD)
    uniform = np.asarray(AdditiveUniform(0.3).perturb(KEY, THETA)) + 0.7
    assert np.abs(uniform).max() <= 0.3 + 1e-6
    assert np.mean(uniform) == pytest.approx(0, abs=MEAN * 0.3)
    assert np.mean(uniform < 0.15) == pytest.approx(0.75, abs=MEAN)


X = jnp.full((N, 1), 2.0)
NOISES = {
    "additive": (AdditiveNoise(0.5), 2.0, 0.5),
    "multiplicative": (MultiplicativeNoise(0.5), 2.0, 1.0),
    "other means": (MultiplicativeNoise(0.5, mean=3.0), 6.0, 1.0),
    "multiply, then add": (CombinedNoise.of_amplitude(1.0, 0.25), 2.0, np.hypot(1.5, 0.25)),
    "add, then multiply": (
        CombinedNoise.of_amplitude(1.0, 0.25, "add_then_multiply"),
        2.0,
        np.sqrt(4 * 0.75**2 + 0.25**2 * (1 + 0.75**2)),
    ),
    "add, then multiply, means": (
        CombinedNoise(0.5, 0.4, "add_then_multiply", mean_add=1.0, mean_mul=-2.0),
        -6.0,
        np.sqrt(0.5**2 * 2**2 + 0.4**2 * 3**2 + (0.5 * 0.4) ** 2),
    ),
}


@pytest.mark.parametrize(("noise", "mean", "std"), NOISES.values(), ids=NOISES)
def test_noise_has_the_moments_of_its_formula(noise, mean, std):
    found_mean, found_std, _ = moments(noise.perturb(KEY, X))
    assert found_mean == pytest.approx(mean, abs=MEAN * std)
    assert found_std == pytest.approx(std, rel=2 * STD)


@pytest.mark.parametrize("noise", [case[0] for case in NOISES.values()], ids=NOISES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_averaged_executions_equal_the_literal_loop(noise, n):
    """In mean, variance, and the correlation between elements that do and do not share a draw: none."""
    closed = moments(replace(noise, n_executions=n).perturb(KEY, X))
    literal = moments(sum(noise.perturb(k, X) for k in jax.random.split(jax.random.key(1), n)) / n)
    assert closed[0] == pytest.approx(literal[0], abs=2 * MEAN * literal[1])
    assert closed[1] == pytest.approx(literal[1], rel=3 * STD)


def test_one_execution_is_the_plain_operator_bit_for_bit():
    noise = CombinedNoise(0.5, 0.4, "add_then_multiply")
    key_add, key_mul, _ = jax.random.split(KEY, 3)
    z_add, z_mul = (AdditiveNoise(1.0).perturb(key, jnp.zeros_like(X)) for key in (key_add, key_mul))
    np.testing.assert_array_equal(noise.perturb(KEY, X), (X + 0.5 * z_add) * (1 + 0.4 * z_mul))


def test_no_noise_is_the_identity_bit_for_bit():
    x = jax.random.normal(KEY, (50, 3))
    for noise in (AdditiveNoise(0.0), MultiplicativeNoise(0.0), CombinedNoise(0.0, 0.0, "add_then_multiply")):
        np.testing.assert_array_equal(noise.perturb(KEY, x), x)


def test_normalized_noise_is_divided_by_the_elements_per_sample():
    x = jnp.zeros((2000, 4, 5))
    plain, normalized = (AdditiveNoise(0.6, normalize=n).perturb(KEY, x) for n in (False, True))
    np.testing.assert_allclose(normalized, plain / 20, rtol=1e-6)


def test_every_sample_and_element_has_a_draw_of_its_own():
    noise = np.asarray(AdditiveNoise(1.0).perturb(KEY, jnp.zeros((2000, 6))))
    between = np.corrcoef(noise.T) - np.eye(6)
    assert np.abs(between).max() < 5 / np.sqrt(2000)


def test_weight_range_noise_scales_with_the_largest_weight_or_half_the_range():
    theta = jnp.concatenate([jnp.zeros(N), jnp.asarray([0.5, -2.0])])
    for of, width in (("absolute_maximum", 2.0), ("half_width", 1.25)):
        _, std, _ = moments(WeightRangeNoise(0.1, of=cast(Any, of)).perturb(KEY, theta)[:N])
        assert std == pytest.approx(0.1 * width, rel=STD)


def test_box_corner_is_a_fair_coin():
    moved = np.asarray(BoxCorner(0.3).perturb(KEY, THETA))
    np.testing.assert_allclose(np.abs(moved + 0.7), 0.21, rtol=1e-5)
    assert np.mean(moved > -0.7) == pytest.approx(0.5, abs=MEAN)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 12), shift=st.floats(-3, 3))
def test_quantization_equals_numpy(seed, bits, shift):
    theta = (np.random.default_rng(seed).standard_normal(50) + shift).astype(np.float32)
    found = np.asarray(Quantization(bits).perturb(KEY, jnp.asarray(theta)), np.float64)
    step = (np.float64(theta.max()) - theta.min()) / (2**bits - 1)
    multiples = found / step
    np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-3)
    # To the nearest: where the quotient is a half up to rounding, either neighbour is.
    assert np.all(np.abs(found - theta) <= step / 2 * (1 + 1e-4))
    assert len(np.unique(np.round(multiples))) <= 2**bits + 1


def test_quantization_keeps_zero_and_constant_tensors():
    theta = jnp.asarray([0.0, 1.0, -0.3])
    assert Quantization(2).perturb(KEY, theta)[0] == 0
    constant = {"ones": jnp.full(3, 0.37), "one": jnp.asarray(0.2)}
    for perturbation in (Quantization(3), BitFlips(0.5, bits=3)):
        jax.tree.map(np.testing.assert_array_equal, perturbation.perturb(KEY, constant), constant)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_bit_flips_flip_bits_of_the_stored_code(bits):
    theta = jnp.asarray(np.random.default_rng(0).uniform(-1, 3, N), jnp.float32)
    step = float(theta.max() - theta.min()) / (2**bits - 1)

    def codes(probability):
        moved = np.asarray(BitFlips(probability, bits=bits).perturb(KEY, theta), np.float64)
        code = (moved - float(theta.min())) / step
        np.testing.assert_allclose(code, np.round(code), atol=1e-3)
        return np.round(code).astype(int)

    stored = codes(0.0)
    np.testing.assert_array_equal(
        stored, np.round((np.asarray(theta) - float(theta.min())) / np.float32(step))
    )
    np.testing.assert_array_equal(codes(1.0), 2**bits - 1 - stored)
    flipped = codes(0.2) ^ stored
    for place in range(bits):
        assert np.mean((flipped >> place) & 1) == pytest.approx(0.2, abs=0.4 * MEAN)


def test_stuck_cells_are_as_many_as_said():
    theta = jnp.asarray(np.random.default_rng(0).uniform(1, 3, N), jnp.float32)
    for at, value in (("zero", 0.0), ("minimum", theta.min()), ("maximum", theta.max())):
        moved = np.asarray(StuckAt(0.3, at=cast(Any, at)).perturb(KEY, theta))
        is_stuck = moved == value
        assert np.mean(is_stuck) == pytest.approx(0.3, abs=0.46 * MEAN)
        np.testing.assert_array_equal(moved[~is_stuck], np.asarray(theta)[~is_stuck])


def test_a_chain_uses_another_key_for_each_link():
    twice = Chain((AdditiveNoise(0.3), AdditiveNoise(0.3))).perturb(KEY, THETA)
    assert moments(twice)[1] == pytest.approx(0.3 * np.sqrt(2), rel=STD)


G = np.array([0.0, 1e-3, 0.1, 0.5, 1.0])


def test_memory_formulas_equal_the_published_ones():
    slow_std = np.maximum(-1.1731 * G**2 + 1.9650 * G + 0.2635, 0) / 25
    np.testing.assert_allclose(pcm.programming_std(jnp.asarray(G)), slow_std, rtol=1e-5)
    with np.errstate(divide="ignore"):
        slow_mean = np.minimum(np.maximum(-0.0155 * np.log(G) + 0.0244, 0.049), 0.1)
        slow_spread = np.minimum(np.maximum(-0.0125 * np.log(G) - 0.0059, 0.008), 0.045)
        slow_q = np.minimum(0.0088 / G**0.65, 0.2)
    np.testing.assert_allclose(pcm.drift_mean(jnp.asarray(G)), slow_mean, rtol=1e-5)
    np.testing.assert_allclose(pcm.drift_std(jnp.asarray(G)), slow_spread, rtol=1e-5)
    for time in pcm.TIMES:
        expected = slow_q * np.sqrt(np.log((time + 250e-9) / 250e-9))
        np.testing.assert_allclose(pcm.read_std(jnp.asarray(G), time), expected, rtol=1e-5)


def quiet(**changes):
    return PhaseChangeMemory(**{"programming_scale": 0.0, "drift_scale": 0.0, "read_scale": 0.0, **changes})


WEIGHTS = jnp.asarray(np.random.default_rng(1).standard_normal((200, 200)), jnp.float32)


def test_memory_without_noise_is_exact_and_leaves_vectors_digital():
    tree = {"w": WEIGHTS, "b": jnp.ones(3)}
    found = quiet(time=3600.0).perturb(KEY, tree)
    np.testing.assert_allclose(found["w"], tree["w"], rtol=1e-6, atol=1e-7)
    noisy = PhaseChangeMemory(time=3600.0).perturb(KEY, tree)
    np.testing.assert_array_equal(noisy["b"], 1)
    assert np.abs(noisy["w"] - tree["w"]).max() > 0.01


def test_memory_clips_at_standard_deviations():
    root = float(jnp.sqrt(jnp.mean(WEIGHTS**2)))
    clipped = quiet(clip=1.5).perturb(KEY, WEIGHTS)
    np.testing.assert_allclose(clipped, np.clip(WEIGHTS, -1.5 * root, 1.5 * root), rtol=1e-5, atol=1e-6)


def test_programming_noise_of_one_conductance():
    weights = jnp.full((200, 200), 0.5).at[0, 0].set(1.0)
    found = np.asarray(quiet(programming_scale=1.0).perturb(KEY, weights)).ravel()[1:]
    # Of the pair, one device is programmed to 0.5 and the other to 0, where noise is cut off below 0.
    half = (-1.1731 * 0.25 + 1.9650 * 0.5 + 0.2635) / 25
    empty = 0.2635 / 25
    expected = np.sqrt(half**2 + empty**2 * (0.5 - 1 / (2 * np.pi)))
    assert found.std() == pytest.approx(expected, rel=STD)
    assert found.mean() == pytest.approx(0.5 - empty / np.sqrt(2 * np.pi), abs=MEAN * expected)


def test_drift_follows_its_power_law_and_is_compensated():
    for time in pcm.TIMES:
        drifted = quiet(drift_scale=1.0, time=time, compensate=False).perturb(KEY, jnp.ones((200, 200)))
        exponents = -np.log(np.asarray(drifted, np.float64)) / np.log(time / 25) if time > 25 else None
        if exponents is None:
            np.testing.assert_allclose(drifted, 1, rtol=1e-6)
            continue
        assert exponents.mean() == pytest.approx(0.049, abs=MEAN * 0.008 + 1e-5)
        assert exponents.std() == pytest.approx(0.008, rel=STD + 1e-3)
        compensated = quiet(drift_scale=1.0, time=time).perturb(KEY, jnp.ones((200, 200)))
        assert np.mean(compensated) == pytest.approx(1, rel=1e-4)


def test_read_noise_grows_with_time():
    spreads = [quiet(read_scale=1.0, time=t).perturb(KEY, jnp.ones((200, 200))).std() for t in pcm.TIMES]
    expected = [0.0088 * np.sqrt(np.log((t + 250e-9) / 250e-9)) for t in pcm.TIMES]
    np.testing.assert_allclose(spreads, expected, rtol=2 * STD)
