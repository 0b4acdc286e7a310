"""Accuracy under noise, position by position."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.measures import walking_profile as module
from jaxrobust.measures.walking_profile import noise_accuracies, walking_profile
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Outputs, Variables
from jaxrobust.networks.taps import Taps
from jaxrobust.perturbations.noise import AdditiveNoise, CombinedNoise, MultiplicativeNoise

pytestmark = pytest.mark.usefixtures("quick_compilation")
NETWORK = MLP(2, (5,), 3)
VARIABLES = NETWORK.init(jax.random.key(0))
INPUTS = jax.random.normal(jax.random.key(1), (230, 2))
LABELS = NETWORK.forward(*VARIABLES, INPUTS).logits.argmax(1)
LEVELS = (0.01, 0.1, 0.3, 1.0, 10.0, 100.0)
KEY = jax.random.key(2)


def sweep(placements, **how):
    return np.asarray(
        noise_accuracies(NETWORK, VARIABLES, INPUTS, LABELS, KEY, placements, batch_size=100, **how)
    )


def test_levels_side_by_side_equal_one_by_one_with_the_same_draws():
    placements = [{"fc1": AdditiveNoise(level)} for level in LEVELS]
    together = sweep(placements, n_draws=2)
    assert together.shape == (2, len(LEVELS))
    for i, placement in enumerate(placements):
        np.testing.assert_array_equal(sweep([placement], n_draws=2)[:, 0], together[:, i])
    np.testing.assert_array_equal(sweep(placements, n_draws=2), together)
    assert np.any(together[0] != together[1])
    assert together[0, 0] > 0.95
    assert together[0, -1] < 0.6


def test_equals_the_literal_computation():
    chunk, at = INPUTS[:100], AdditiveNoise(0.5)
    key = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    logits = NETWORK.forward(*VARIABLES, chunk, key=key, tap=Taps(perturb={"relu1": at})).logits
    expected = np.mean(logits.argmax(1) == LABELS[:100])
    found = noise_accuracies(NETWORK, VARIABLES, chunk, LABELS[:100], KEY, [{"relu1": at}], batch_size=100)
    assert float(found[0, 0]) == pytest.approx(expected)


def test_levels_kinds_of_one_form_and_executions_share_a_program():
    before = module._hits._cache_size()
    for noise in (CombinedNoise(0.3, 0.0), CombinedNoise(0.0, 0.7), CombinedNoise(0.2, 0.1, n_executions=7)):
        sweep([{"input": noise}])
    assert module._hits._cache_size() == before + 1


def test_silent_positions_draw_nothing():
    def n_draws_in(placement):
        program = module._hits.trace(
            *(NETWORK, 1, 1, 100, module.is_hit, VARIABLES, INPUTS, LABELS, KEY),
            Taps(perturb=jax.tree.map(lambda leaf: jnp.array([leaf]), placement)),
        ).jaxpr
        return str(program).count("random_bits")

    assert [n_draws_in(p) for p in ({}, {"fc1": AdditiveNoise(1.0)})] == [0, 1]
    assert n_draws_in({"fc1": AdditiveNoise(1.0), "input": AdditiveNoise(1.0)}) == 2


def test_a_profile_has_a_midpoint_with_an_interval_per_position():
    profile = walking_profile(NETWORK, VARIABLES, INPUTS, LABELS, levels=LEVELS, batch_size=230)
    assert list(profile.midpoints) == ["input", "fc1", "relu1", "logits"]
    assert profile.clean == 1
    assert profile.accuracies["fc1"].shape == (3, len(LEVELS))
    for name, midpoint in profile.midpoints.items():
        assert midpoint.low < midpoint.value < midpoint.high
        assert 0.05 < midpoint.value < 20
        assert f"{name:6}  {midpoint}" in str(profile)


def test_bare_parameters_and_other_kinds_of_noise_are_taken():
    profile = walking_profile(
        NETWORK,
        VARIABLES.parameters,
        INPUTS,
        LABELS,
        levels=LEVELS,
        kind=MultiplicativeNoise,
        positions=["fc1"],
    )
    assert list(profile.midpoints) == ["fc1"]


@dataclass(frozen=True)
class Closed:
    """A network without positions."""

    positions = {}  # noqa: RUF012

    def init(self, key):
        return Variables({}, {})

    def forward(self, parameters, statistics, inputs, *, key=None, training=False, tap=None):
        return Outputs(inputs, {}, statistics)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sweep([{"fc9": AdditiveNoise(1.0)}]), "no position 'fc9'; its positions are input, fc1"),
        (lambda: sweep([]), "at least one placement"),
        (
            lambda: sweep([{"fc1": AdditiveNoise(1.0)}, {"fc1": MultiplicativeNoise(1.0)}]),
            "equal positions and kinds",
        ),
        (lambda: walking_profile(Closed(), {}, INPUTS, LABELS), "Closed has no positions"),
    ],
)
def test_bad_placements_are_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
