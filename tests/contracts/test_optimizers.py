"""Every optimizer and projection through the same promises, on a toy problem."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.training import optimizers
from jaxrobust.training.methods import Batch, Objective
from jaxrobust.training.optimizers import (
    SGD,
    Adam,
    Clamp,
    Masks,
    Projected,
    RMSProp,
    SingularValues,
    WeightClipping,
    projected_start,
)

PLAIN = MLP(n_in=4, n_hidden=(6,), n_out=3)
MASKS = {
    "w1": np.arange(24).reshape(4, 6) % 3 > 0,
    "b1": np.ones(6),
    "w2": np.arange(18).reshape(6, 3) % 2,
    "b2": np.ones(3),
}
OPTIMIZERS = {
    **optimizers.OPTIMIZERS,
    "rmsprop": RMSProp(),
    "clipped": Projected(Adam(), WeightClipping(1.5)),
    "clamped": Projected(Adam(), Clamp(-0.7, 0.7, ("w.*",))),
    "masked": Projected(Adam(), Masks(MASKS)),
    "singular values": Projected(Adam(), SingularValues(1.2)),
    "clipped every third step": Projected(SGD(), WeightClipping(1.5), every=3),
}
RATES = {"sgd": 0.3, "esgd": 0.5, "clipped every third step": 0.3}
KEY = jax.random.key(3)
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def data(n=24):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    centres = np.array([[1, 0, 0, -1], [0, 1, -1, 0], [-1, -1, 1, 1]])
    return Batch(jnp.float32(centres[labels] + 0.3 * rng.standard_normal((n, 4))), jnp.int32(labels))


@jax.jit
def step(optimizer, parameters, memory, rate, key):
    objective = Objective(PLAIN, {}, data())

    def evaluate(p, key):
        (loss, forward), gradient = jax.value_and_grad(lambda p: objective.loss(p, key), has_aux=True)(p)
        return optimizers.Evaluation(loss, forward, gradient)

    return optimizer.step(evaluate, parameters, memory, rate, key)


@cache
def case(name):
    optimizer = jax.tree.map(jnp.float32, OPTIMIZERS[name])
    rate = jnp.float32(RATES.get(name, 0.05))
    parameters = projected_start(optimizer, PLAIN.init(jax.random.key(1)).parameters)
    memory = optimizer.init(parameters)
    return optimizer, rate, parameters, memory, step(optimizer, parameters, memory, rate, KEY)


def close(one, other, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@every_optimizer
def test_a_step_reports_the_loss_before_it_and_keeps_structures_and_dtypes(name):
    _, _, parameters, memory, first = case(name)
    loss, outputs = Objective(PLAIN, {}, data()).loss(parameters, KEY)
    close((first.loss, first.forward.logits), (loss, outputs.logits))
    for new, old in ((first.parameters, parameters), (first.memory, memory)):
        assert jax.tree.map(lambda x: (x.shape, x.dtype), new) == jax.tree.map(
            lambda x: (x.shape, x.dtype), old
        )


@every_optimizer
def test_other_numbers_compile_nothing(name):
    optimizer, rate, parameters, memory, _ = case(name)
    compiled = step._cache_size()
    other = jax.tree.map(lambda number: number * 0.9, optimizer)
    step(other, parameters, memory, 2 * rate, jax.random.key(9))
    assert step._cache_size() == compiled


@every_optimizer
def test_zero_parameters_give_no_nan(name):
    optimizer, rate, parameters, _, _ = case(name)
    nowhere = jax.tree.map(jnp.zeros_like, parameters)
    at_zero = step(optimizer, nowhere, optimizer.init(nowhere), rate, KEY)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(at_zero.parameters))


@every_optimizer
def test_models_side_by_side_equal_each_alone(name):
    optimizer, rate, parameters, _, _ = case(name)
    other = jax.tree.map(lambda number: number * 0.9, optimizer)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), optimizer, other)
    pair = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p]), parameters)
    memories = jax.vmap(optimizer.init)(pair)
    keys = jax.random.split(KEY, 2)
    together = jax.vmap(step, in_axes=(0, 0, 0, None, 0))(both, pair, memories, rate, keys)
    for i, one in enumerate((optimizer, other)):
        of = partial(jax.tree.map, lambda leaf, i=i: leaf[i])
        alone = step(one, of(pair), of(memories), rate, keys[i])
        close(of(together).parameters, alone.parameters, tolerance=1e-4)


@every_optimizer
def test_steps_lower_the_loss(name):
    optimizer, rate, _, _, first = case(name)
    last = first
    for i in range(15):
        last = step(optimizer, last.parameters, last.memory, rate, jax.random.fold_in(KEY, i))
    assert last.loss < 0.8 * first.loss


# --- projections ---


def test_masked_weights_stay_zero_from_the_start_and_the_others_move():
    _, _, start, _, first = case("masked")
    for parameters in (start, first.parameters):
        for name, mask in MASKS.items():
            assert not np.any(np.asarray(parameters[name])[np.asarray(mask) == 0])
    assert np.all(np.asarray(first.parameters["w1"] != start["w1"])[MASKS["w1"]])


def test_singular_values_stay_below_their_bound():
    _, _, start, _, first = case("singular values")
    for parameters in (start, first.parameters):
        assert max(np.linalg.svd(parameters[name])[1].max() for name in ("w1", "w2")) <= 1.2 + 1e-5
    small = {"w": jnp.eye(3) * 0.5}
    close(SingularValues(1.0, ("w",)).project(small), small, tolerance=1e-6)


def test_clamped_tensors_are_those_that_are_named():
    found = Clamp(-0.1, 0.2, ("w",)).project({"w": jnp.array([-1.0, 0.1, 1.0]), "b": jnp.array([-1.0, 1.0])})
    np.testing.assert_array_equal(found["w"], np.float32([-0.1, 0.1, 0.2]))
    np.testing.assert_array_equal(found["b"], [-1, 1])


def test_a_projection_every_third_step_leaves_the_steps_between_alone():
    optimizer, rate, parameters, memory, _ = case("clipped every third step")
    plain, plain_memory = parameters, ()
    for i in range(3):
        taken = step(optimizer, parameters, memory, rate, KEY)
        free = step(jax.tree.map(jnp.float32, SGD()), plain, plain_memory, rate, KEY)
        parameters, memory, plain = taken.parameters, taken.memory, free.parameters
        if i < 2:
            close(parameters, plain, tolerance=1e-6)
    close(parameters, WeightClipping(1.5).project(plain), tolerance=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.optimizer_named("adma"),
        lambda: optimizers.SGD(momentum=1.5),
        lambda: optimizers.EntropySGD(scope=-1.0),
        lambda: optimizers.BlockCoordinateDescent(size=-1.0),
        lambda: Projected(SGD(), WeightClipping(), every=0),
        lambda: Masks({"w": np.ones(2)}).project({"w": jnp.ones(2), "b": jnp.ones(1)}),
        lambda: SingularValues(1.0, ("k",)).project({"k": jnp.ones((3, 3, 1, 1))}),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()
