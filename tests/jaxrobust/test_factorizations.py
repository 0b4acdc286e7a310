"""Factorizations equal those of NumPy, and no program asks for a batch of them on a CPU, which can hang."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.factorizations import eigh, inverse, orthogonal, svd
from jaxrobust.layers.lipschitz.frequency import cayley
from jaxrobust.measures.spectra import hessian_spectrum
from jaxrobust.networks.lipschitz import LipschitzNetwork
from jaxrobust.stitching.layers import LowRank
from jaxrobust.training.optimizers.convolution_projection import clip_convolution
from jaxrobust.training.optimizers.projections import SingularValues

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
BATCH = RNG.standard_normal((2, 3, 5, 5)).astype(np.float32)
COMPLEX = (BATCH + 1j * RNG.standard_normal(BATCH.shape)).astype(np.complex64)


def batches(function, *arguments) -> list[str]:
    """The calls of LAPACK or BLAS in a program for CPUs whose first argument has more axes than a matrix."""
    text = jax.jit(function).lower(*arguments).as_text()
    calls = re.findall(r"custom_call @((?:lapack|blas)_\w+)\(.*?: \(tensor<((?:\d+x)+)", text)
    assert calls, "the program calls no LAPACK: nothing is tested"
    return [name for name, shape in calls if shape.count("x") > 2]


@pytest.mark.parametrize("matrices", [BATCH, COMPLEX, BATCH[0, 0]], ids=["real", "complex", "one"])
def test_inverse_and_its_derivative_are_those_of_jax(matrices):
    def length(inverted):
        return jnp.sum(jnp.abs(inverted) ** 2)

    np.testing.assert_allclose(inverse(matrices), np.linalg.inv(matrices), rtol=1e-3, atol=1e-4)
    ours, theirs = (
        jax.grad(lambda m, f=f: length(f(m)))(jnp.asarray(matrices)) for f in (inverse, jnp.linalg.inv)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("matrices", [BATCH[..., :2], BATCH[..., :2, :], COMPLEX, BATCH[0, 0]])
def test_singular_vectors_rebuild_the_matrix(matrices):
    left, values, right = jax.jit(svd)(matrices)
    np.testing.assert_allclose((left * values[..., None, :]) @ right, matrices, atol=1e-5)
    np.testing.assert_allclose(values, np.linalg.svd(matrices, compute_uv=False), rtol=1e-4, atol=1e-5)


def test_eigenvectors_rebuild_the_matrix():
    symmetric = BATCH + np.swapaxes(BATCH, -1, -2)
    values, vectors = jax.vmap(eigh)(symmetric)
    rebuilt = (vectors * values[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    np.testing.assert_allclose(rebuilt, symmetric, atol=1e-5)


@pytest.mark.parametrize("factorize", [svd, eigh])
def test_a_derivative_that_is_not_there_is_an_error(factorize):
    with pytest.raises(ValueError, match="autodiff"):
        jax.grad(lambda m: jnp.sum(jax.tree.leaves(factorize(m))[0]))(BATCH)


def test_drawn_matrices_are_flax_own_to_the_bit():
    keys = jax.random.split(jax.random.key(0), 3)
    draws = (orthogonal(0.3), jax.nn.initializers.orthogonal(0.3))
    ours, theirs = (jax.vmap(lambda key, draw=draw: draw(key, (8, 5)))(keys) for draw in draws)
    np.testing.assert_array_equal(ours, theirs)


def test_the_check_sees_a_batch():
    assert batches(jnp.linalg.inv, BATCH)
    assert not batches(jnp.linalg.inv, BATCH[0, 0])


KEYS = jax.random.split(jax.random.key(0), 2)
LOW = LowRank(rank=2)
QUADRATIC = jnp.ones(4)
PROGRAMS = {
    "start of BCOP": (LipschitzNetwork("small").build((32, 32, 3), 10).init, KEYS[0]),
    "two starts of BCOP": (jax.vmap(LipschitzNetwork("small").build((8, 8, 3), 10).init), KEYS),
    "starts of stitches": (jax.vmap(lambda key: LOW.init(key, (8,), (8,))), KEYS),
    "Cayley": (jax.grad(lambda m: jnp.sum(jnp.abs(cayley(m) - 1))), COMPLEX),
    "SVCM": (jax.vmap(lambda taps: clip_convolution(taps, (8, 8), n_repeats=2)), BATCH[..., :2, :]),
    "clipped matrices": (jax.vmap(SingularValues(1.0, (".*",)).project), BATCH[0]),
    "spectrum": (
        lambda key: hessian_spectrum(lambda p: jnp.sum(p**3), QUADRATIC, key, n_probes=3, n_steps=3),
        KEYS[0],
    ),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_no_program_factorizes_a_batch_at_once(program):
    assert batches(*program) == []


STARTS = """
import os

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import jax
from jaxrobust.networks.lipschitz import LipschitzNetwork

start = jax.jit(LipschitzNetwork("large").build((32, 32, 3), 10).init)
for seed in range(5):
    jax.block_until_ready(start(jax.random.key(seed)))
"""


@pytest.mark.slow
def test_a_large_network_starts_on_two_cores():
    """With batches, one of five such processes hung."""
    subprocess.run([sys.executable, "-c", STARTS], cwd=ROOT, timeout=120, check=True)
