"""Closed-form maps against NumPy's pseudo-inverse, masks, and the distance that warns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Variables
from jaxrobust.stitching.layers import LowRank, Pointwise, kernel_of
from jaxrobust.stitching.masks import mask_by
from jaxrobust.stitching.matching import NormalEquations, match, squared_distance
from jaxrobust.stitching.stitched import Cut, Stitched

pytestmark = pytest.mark.usefixtures("quick_compilation")
DONOR = MLP(6, (5, 4), 3)
CUT = Cut.at("relu1")


@pytest.fixture(scope="module")
def donors():
    init = jax.jit(DONOR.init)
    return init(jax.random.key(0)), init(jax.random.key(1))


def planted(rng, n=400):
    x = rng.standard_normal((n, 5)) @ rng.standard_normal((5, 5)) + 3
    kernel, bias = rng.standard_normal((5, 3)), rng.standard_normal(3)
    return x, kernel, bias, x @ kernel + bias


def test_planted_maps_are_recovered_from_any_batches():
    rng = np.random.default_rng(0)
    x, kernel, bias, y = planted(rng)
    for n_parts in (1, 7):
        sums = NormalEquations()
        for rows in zip(np.array_split(x, n_parts), np.array_split(y, n_parts), strict=True):
            sums.add(*(part.astype(np.float32) for part in rows))
        found = sums.solve()
        np.testing.assert_allclose(found[0], kernel, atol=1e-4)
        np.testing.assert_allclose(found[1], bias, atol=1e-4)


def test_predictions_equal_the_pseudo_inverse_with_dead_and_repeated_channels():
    rng = np.random.default_rng(1)
    x, *_, y = planted(rng)
    x = np.concatenate([x, np.zeros((400, 1)), np.full((400, 1), 2.0), x[:, :1], 1e-4 * x[:, 1:2]], axis=1)
    y = y + rng.standard_normal(y.shape)
    sums = NormalEquations()
    sums.add(x, y)
    kernel, bias = sums.solve()
    with_ones = np.concatenate([x, np.ones((400, 1))], axis=1)
    expected = with_ones @ (np.linalg.pinv(with_ones) @ y)
    np.testing.assert_allclose(x @ kernel + bias, expected, atol=1e-5)
    assert (kernel[5:7] == 0).all()


def test_a_self_match_is_the_identity_on_live_channels(donors):
    stitched = Stitched(DONOR, DONOR, CUT)
    inputs = np.random.default_rng(2).standard_normal((300, 6)).astype(np.float32)
    kernel = match(stitched, donors[0], donors[0], inputs, batch_size=128)["kernel"]
    alive = np.diagonal(kernel) > 0.5
    assert alive.sum() >= 3
    np.testing.assert_allclose(kernel[alive][:, alive], np.eye(alive.sum()), atol=1e-6)


def test_no_other_map_is_closer_than_the_match(donors):
    stitched = Stitched(DONOR, DONOR, CUT)
    inputs = np.random.default_rng(3).standard_normal((300, 6)).astype(np.float32)
    matched = match(stitched, *donors, inputs)
    nearest = squared_distance(stitched, stitched.join(*donors, matched), inputs)
    for scale in (0.01, 0.1):
        other = jax.tree.map(
            lambda p, scale=scale: p + scale * jnp.cos(jnp.arange(p.size)).reshape(p.shape), matched
        )
        assert squared_distance(stitched, stitched.join(*donors, other), inputs) > nearest
    low = Stitched(DONOR, DONOR, CUT, LowRank(2))
    found = match(low, *donors, inputs)
    assert np.linalg.matrix_rank(kernel_of(found), tol=1e-4) == 2
    assert squared_distance(low, low.join(*donors, found), inputs, batch_size=90) > nearest
    with pytest.raises(InputError, match="needs samples"):
        squared_distance(stitched, stitched.join(*donors, matched), inputs[:0])


def test_masks_pick_what_is_planted():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((500, 4))
    y = np.stack([x[:, 2], -x[:, 0], x[:, 2] + 0.1 * x[:, 1], x[:, 3]], axis=1)
    sums = NormalEquations()
    sums.add(x, y)
    correlations = sums.correlations()
    np.testing.assert_allclose(correlations, np.corrcoef(x.T, y.T)[:4, 4:], atol=1e-8)
    assert mask_by("semi_match", correlations).argmax(0)[[0, 2, 3]].tolist() == [2, 2, 3]
    assert mask_by("absolute_semi_match", correlations).argmax(0).tolist() == [2, 0, 2, 3]
    for rule in ("hungarian", "random_permutation"):
        mask = mask_by(rule, correlations)
        assert (mask.sum(0) == 1).all()
        assert (mask.sum(1) == 1).all()
    assert (
        mask_by("random_permutation", correlations, 1) != mask_by("random_permutation", correlations)
    ).any()
    with pytest.raises(InputError, match="not 'best'"):
        mask_by("best", correlations)


def test_the_trained_stitch_keeps_its_mask(donors):
    stitched = Stitched(DONOR, DONOR, CUT, Pointwise(masked=True))
    mask = mask_by("random_permutation", np.zeros((5, 5)))
    variables = stitched.join(*donors, stitched.layer.init(jax.random.key(0), (5,), (5,)), mask)
    assert isinstance(variables, Variables)
    np.testing.assert_array_equal(variables.statistics["stitch"]["mask"], mask)


def test_matching_without_samples_or_with_other_rows_is_refused():
    sums = NormalEquations()
    with pytest.raises(InputError, match="needs samples"):
        sums.solve()
    with pytest.raises(InputError, match="as many rows"):
        sums.add(np.ones((2, 3)), np.ones((3, 3)))
    sums.add(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="those before 6"):
        sums.add(np.ones((2, 3)), np.ones((2, 4)))
