"""Learning rates of each phase, and which samples make a batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.training.batches import batch_indices
from jaxrobust.training.methods import ForwardNoise, ParameterAttackTraining
from jaxrobust.training.schedule import Phases

ROBUST = ParameterAttackTraining(
    base=ForwardNoise(std=0.1), beta=0.5, attack=ParameterAttack(relative_size=0.1, n_steps=2)
)


def test_learning_rate_is_constant_in_each_phase():
    schedule = Phases(n_epochs=(1.0, 0.5), learning_rates=(0.1, 0.01))
    steps = schedule.phase_steps(n_samples=25, batch_size=10)
    assert steps == (3, 2)
    np.testing.assert_array_equal(
        schedule.rates(0, 7, n_samples=25, batch_size=10), np.float32([0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01])
    )
    np.testing.assert_array_equal(schedule.rates(2, 2, n_samples=25, batch_size=10), np.float32([0.1, 0.01]))


@pytest.mark.parametrize(
    ("n_epochs", "learning_rates"),
    [((1.0,), (0.1, 0.2)), ((), ()), ((0.0,), (0.1,)), ((1.0,), (float("nan"),)), ((1.0,), (-0.1,))],
)
def test_schedules_that_make_no_sense_are_refused(n_epochs, learning_rates):
    with pytest.raises(InputError):
        Phases(n_epochs, learning_rates)


@given(
    seed=st.integers(0, 2**31),
    n_samples=st.integers(1, 40),
    batch_size=st.integers(1, 60),
    n_steps=st.integers(1, 12),
)
@settings(deadline=None, max_examples=60)
def test_every_epoch_is_a_fresh_order_of_all_samples(seed, n_samples, batch_size, n_steps):
    indices = batch_indices(seed, 0, n_steps, batch_size=batch_size, n_samples=n_samples)
    assert indices.shape == (n_steps, batch_size)
    assert indices.dtype == np.int32
    row = indices.ravel()
    for start in range(0, len(row), n_samples):
        epoch = row[start : start + n_samples]
        assert len(set(epoch.tolist())) == len(epoch)
        assert set(epoch.tolist()) <= set(range(n_samples))


@given(
    seed=st.integers(0, 2**31),
    first=st.integers(0, 50),
    n_steps=st.integers(1, 20),
    batch_size=st.integers(1, 30),
)
@settings(deadline=None, max_examples=60)
def test_batches_are_a_function_of_the_step_alone(seed, first, n_steps, batch_size):
    from_the_start = batch_indices(seed, 0, first + n_steps, batch_size=batch_size, n_samples=17)
    resumed = batch_indices(seed, first, n_steps, batch_size=batch_size, n_samples=17)
    np.testing.assert_array_equal(resumed, from_the_start[first:])


def test_seeds_and_epochs_have_orders_of_their_own():
    one = batch_indices(0, 0, 2, batch_size=50, n_samples=50)
    other = batch_indices(1, 0, 2, batch_size=50, n_samples=50)
    assert (one[0] != one[1]).any()
    assert (one != other).any()
