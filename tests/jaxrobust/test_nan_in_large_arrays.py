"""One NaN among 4096 elements and more, whose maximum XLA computes on a CPU as if it were not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.certificates.lipschitz import certified_radii, last_layer_radii
from jaxrobust.certificates.propagation import output_bounds
from jaxrobust.certificates.verification import box_around
from jaxrobust.measures.agreement import agreement, hit_overlap
from jaxrobust.measures.spectra import Spectrum, top_eigenvalue
from jaxrobust.numerics import largest, smallest
from jaxrobust.perturbations.faults import BitFlips, Quantization, StuckAt
from jaxrobust.perturbations.mismatch import WeightRangeNoise
from jaxrobust.perturbations.phase_change_memory import PhaseChangeMemory

pytestmark = pytest.mark.usefixtures("quick_compilation")

WEIGHTS = jnp.asarray(np.random.default_rng(0).standard_normal((90, 60)), jnp.float32)
PERTURBATIONS = {
    "quantization": Quantization(4),
    "bit flips": BitFlips(0.01, 8),
    "stuck at minimum": StuckAt(1.0, "minimum"),
    "stuck at maximum": StuckAt(1.0, "maximum"),
    "range noise": WeightRangeNoise(0.1),
    "range noise by half of the width": WeightRangeNoise(0.1, of="half_width"),
    "phase change memory": PhaseChangeMemory(),
    "phase change memory, clipped": PhaseChangeMemory(clip=2.5),
}


@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
@pytest.mark.parametrize("rows", [9, 90])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_tensor_whose_range_is_not_known_is_nan_whatever_its_size(perturbation, rows, compiled):
    parameters = {"broken": WEIGHTS[:rows].at[3, 7].set(jnp.nan), "innocent": WEIGHTS[:rows]}
    perturb = jax.jit(perturbation.perturb) if compiled else perturbation.perturb
    found = perturb(jax.random.key(0), parameters)
    assert np.isnan(found["broken"]).all()
    assert np.isfinite(found["innocent"]).all()


@pytest.mark.parametrize("rows", [9, 90])
def test_the_derivative_at_nan_does_not_depend_on_the_size(rows):
    broken = WEIGHTS[:rows].at[3, 7].set(jnp.nan)
    for function in (largest, smallest):
        assert np.isnan(jax.jit(function)(broken))
        assert not np.any(jax.jit(jax.grad(function))(broken))
        assert np.abs(jax.grad(function)(WEIGHTS[:rows])).sum() == 1
        of_rows = np.isnan(jax.jit(function, static_argnums=1)(broken, 1))
        assert of_rows[3]
        assert of_rows.sum() == 1


def test_the_smallest_is_the_minimum():
    for axis in (None, 0, (0, 1)):
        np.testing.assert_array_equal(smallest(WEIGHTS, axis), jnp.min(WEIGHTS, axis))


@pytest.mark.parametrize("n_probes", [2, 100])
def test_the_top_eigenvalue_of_a_probe_that_found_nan_is_nan(n_probes):
    nodes = jnp.ones((n_probes, 50)).at[0, 7].set(5.0)
    weights = jnp.full((n_probes, 50), 0.02)
    assert top_eigenvalue(Spectrum(nodes, weights)) == 5
    assert top_eigenvalue(Spectrum(nodes, weights.at[0, 7].set(0.0))) == 1
    broken = Spectrum(nodes.at[1].set(jnp.nan), weights.at[1].set(jnp.nan))
    assert np.isnan(top_eigenvalue(broken))


def _of_pairs(h):
    return jnp.max(h.reshape(*h.shape[:-1], 2, -1), -1)


def _of_windows(h):
    return jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 8), (1, 8), "VALID")


def _of_smallest(h):
    return jnp.min(h.reshape(*h.shape[:-1], 2, -1), -1)


@pytest.mark.parametrize("pick", [_of_pairs, _of_windows, _of_smallest])
@pytest.mark.parametrize("n", [4, 1000])
def test_the_largest_of_bounds_that_are_not_known_is_not_known(pick, n):
    """A difference of two numbers that overflow has no bounds, in batches of any size."""
    inputs = jnp.ones((n, 16)).at[0, 3].set(3e38)
    weights = jnp.linspace(2.0, 3.0, 16)
    lower, upper = output_bounds(lambda p, x: pick(x * p - 0.5 * x * p), box_around(weights, 0.01), inputs)
    assert lower.shape == (n, 2)
    assert np.isneginf(lower[0, 0])
    assert np.isposinf(upper[0, 0])
    assert np.isfinite(lower[1:]).all()
    assert np.isfinite(upper[1:]).all()
    exact = pick(0.5 * weights * inputs)[1:]
    assert ((lower[1:] <= exact) & (exact <= upper[1:])).all()


def test_networks_that_give_no_answer_do_not_agree():
    logits = jnp.eye(4)
    broken = logits.at[0].set(jnp.nan).at[1, 2].set(jnp.inf)
    assert agreement(logits, logits) == 1
    assert agreement(broken, broken) == 0.5
    assert agreement(broken, logits) == agreement(logits, broken) == 0.5
    counts = hit_overlap(broken, logits, jnp.array([0, 2, 2, 0]))
    assert [int(count) for count in counts] == [1, 0, 1, 2]


def test_answers_that_are_no_numbers_have_no_radius():
    logits = np.array([[np.inf, 0.0, 0.0], [np.nan, 0.0, 0.0], [1.0, -np.inf, 0.0]])
    labels = np.zeros(3, int)
    radii = certified_radii(logits, labels, 1.0)
    assert radii.tolist() == pytest.approx([0, 0, 0.5**0.5])
    by_last_layer = last_layer_radii(logits, labels, np.eye(3), 1.0)
    assert by_last_layer.tolist() == pytest.approx([0, 0, 0.5**0.5])
