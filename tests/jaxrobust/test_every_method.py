"""Every training method through the same checks, on a toy problem; a new method is one line in METHODS."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import WeightRangeNoise
from jaxrobust.training import methods, optimizers
from jaxrobust.training.methods import (
    AdversarialWeights,
    Batch,
    ContractivePenalty,
    ForwardNoise,
    GradientDifference,
    InputAttack,
    ModelPerturbation,
    NormPenalty,
    Objective,
    ParameterAttackTraining,
    PerturbedForward,
    SharpnessAware,
    Standard,
    WeightMagnitude,
)

ATTACK = ParameterAttack(relative_size=0.1, absolute_size=0.01, n_steps=2)
METHODS = {
    "standard": Standard(),
    "dropout": Standard(),  # a field of the network
    "forward noise": ForwardNoise(std=0.1),
    "range noise": PerturbedForward(WeightRangeNoise(0.1)),
    "beta": ParameterAttackTraining(Standard(), 0.25, ATTACK),
    "beta, reverse_kl": ParameterAttackTraining(Standard(), 0.25, ATTACK, boundary_loss="reverse_kl"),
    "beta, js, constant": ParameterAttackTraining(
        Standard(), 0.25, ATTACK, boundary_loss="js", treat_as_constant=True
    ),
    "beta, l2": ParameterAttackTraining(Standard(), 0.25, ATTACK, boundary_loss="l2"),
    "beta, madry": ParameterAttackTraining(Standard(), 0.25, ATTACK, boundary_loss="madry"),
    "beta, forward noise": ParameterAttackTraining(ForwardNoise(std=0.1), 0.25, ATTACK, warmup=0.1),
    "gradient difference": GradientDifference(Standard(), 0.1, ATTACK),
    "AWP": AdversarialWeights(Standard(), ATTACK, gamma=0.5),
    "AWP, input attack": AdversarialWeights(Standard(), ATTACK, gamma=0.5, input_attack=InputAttack(0.05)),
    "AMP": ModelPerturbation(Standard(), size=0.05),
    "SAM": SharpnessAware(Standard(), rho=0.05),
    "ASAM": SharpnessAware(Standard(), rho=0.5, adaptive=True),
    "l1": NormPenalty(Standard(), 0.001, norm="l1", parameters=("w1",)),
    "l2": NormPenalty(Standard(), 0.001, norm="l2"),
    "l2 squared": NormPenalty(Standard(), 0.001),
    "contractive": ContractivePenalty(Standard(), 0.01),
    "weight magnitude": WeightMagnitude(Standard(), 0.1, parameters=("w1",)),
}
PLAIN = MLP(n_in=4, n_hidden=(6,), n_out=3)
# The other boundary losses share all code but one function with the first.
SLOW = ("beta, reverse_kl", "beta, js, constant", "beta, l2", "beta, madry")
every_method = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in METHODS]
)


def network_of(name):
    return MLP(n_in=4, n_hidden=(6,), n_out=3, dropout=0.2) if name == "dropout" else PLAIN


def data(n=24):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    centres = np.array([[1, 0, 0, -1], [0, 1, -1, 0], [-1, -1, 1, 1]])
    return jnp.float32(centres[labels] + 0.3 * rng.standard_normal((n, 4))), jnp.int32(labels)


LATER = jnp.float32(1.0)


@partial(jax.jit, static_argnums=0)
def compiled_step(network, parameters, method, key, epoch):
    """Loss, logits and gradient; one program a network and a structure of method."""
    objective = Objective(network, {}, Batch(*data()), epoch=epoch)
    (loss, forward), gradient = jax.value_and_grad(lambda p: method.loss(objective, p, key), has_aux=True)(
        parameters
    )
    return loss, forward, gradient


def step(network, parameters, method, key, epoch=LATER):
    return compiled_step(network, parameters, method, key, epoch)


def as_numbers(method):
    return jax.tree.map(jnp.float32, method)


def close(one, other, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_every_public_method_is_here():
    classes = {type(method) for method in METHODS.values()}
    public = (getattr(methods, name) for name in methods.__all__)
    missing = {c for c in public if isinstance(c, type) and c is not methods.Method and hasattr(c, "loss")}
    assert missing - {Objective} == classes


@every_method
def test_method(name):
    network, method, key = network_of(name), as_numbers(METHODS[name]), jax.random.key(3)
    parameters, _ = network.init(jax.random.key(1))
    loss, forward, gradient = step(network, parameters, method, key)

    # Compiled equals eager.
    with jax.disable_jit():
        objective = Objective(network, {}, Batch(*data()), epoch=jnp.float32(1.0))
        eager_loss, eager_forward = method.loss(objective, parameters, key)
    close((loss, forward.logits), (eager_loss, eager_forward.logits))

    # Dtypes and structure are kept, and the same key gives the same numbers.
    assert loss.dtype == jnp.float32
    assert loss.shape == ()
    assert jax.tree.map(lambda g: (g.shape, g.dtype), gradient) == jax.tree.map(
        lambda p: (p.shape, p.dtype), parameters
    )
    assert any(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))
    close(step(network, parameters, method, key)[2], gradient, tolerance=0)

    # Other numbers, other keys and another epoch compile nothing.
    compiled = compiled_step._cache_size()
    other = jax.tree.map(lambda number: number * 1.5, method)
    step(network, parameters, other, jax.random.key(4), jnp.float32(0.0))
    assert compiled_step._cache_size() == compiled

    # No NaN where all parameters are zero.
    nowhere = jax.tree.map(jnp.zeros_like, parameters)
    at_zero = step(network, nowhere, method, key)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(at_zero[::2]))

    # Models side by side equal each alone; their numbers are an axis.
    keys = jax.random.split(key, 2)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), method, other)
    pair = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p]), parameters)
    together = jax.vmap(lambda p, m, k: step(network, p, m, k))(pair, both, keys)
    for i, one in enumerate((method, other)):
        alone = step(network, jax.tree.map(lambda p, i=i: p[i], pair), one, keys[i])
        close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, tolerance=2e-5)

    # A few steps downhill lower the task loss.
    def base(p):
        return step(PLAIN, p, Standard(), key)[0]

    trained = parameters
    for i in range(25):
        _, _, gradient = step(network, trained, method, jax.random.fold_in(key, i))
        trained = jax.tree.map(lambda p, g: p - 0.1 * g, trained, gradient)
    assert base(trained) < 0.8 * base(parameters)


# --- optimizers, through the same kind of checks ---

OPTIMIZERS = {
    **optimizers.OPTIMIZERS,
    "clipped": optimizers.Projected(optimizers.Adam(), optimizers.WeightClipping(1.5)),
}
RATES = {"adam": 0.05, "sgd": 0.3, "nesterov": 0.05, "esgd": 0.5, "abcd": 0.05, "clipped": 0.05}


@jax.jit
def optimize(optimizer, parameters, memory, rate, key):
    objective = Objective(PLAIN, {}, Batch(*data()))

    def evaluate(p, key):
        (loss, forward), gradient = jax.value_and_grad(lambda p: objective.loss(p, key), has_aux=True)(p)
        return optimizers.Evaluation(loss, forward, gradient)

    return optimizer.step(evaluate, parameters, memory, rate, key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name):
    optimizer, key, rate = as_numbers(OPTIMIZERS[name]), jax.random.key(3), jnp.float32(RATES[name])
    parameters, _ = PLAIN.init(jax.random.key(1))
    memory = optimizer.init(parameters)
    first = optimize(optimizer, parameters, memory, rate, key)
    task_loss, forward = Objective(PLAIN, {}, Batch(*data())).loss(parameters, key)
    close((first.loss, first.forward.logits), (task_loss, forward.logits))
    for new, old in ((first.parameters, parameters), (first.memory, memory)):
        assert jax.tree.map(lambda x: (x.shape, x.dtype), new) == jax.tree.map(
            lambda x: (x.shape, x.dtype), old
        )

    compiled = optimize._cache_size()
    other = jax.tree.map(lambda number: number * 0.9, optimizer)
    optimize(other, parameters, memory, 2 * rate, jax.random.key(9))
    assert optimize._cache_size() == compiled

    nowhere = jax.tree.map(jnp.zeros_like, parameters)
    at_zero = optimize(optimizer, nowhere, optimizer.init(nowhere), rate, key)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(at_zero.parameters))

    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), optimizer, other)
    pair = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p]), parameters)
    memories = jax.vmap(optimizer.init)(pair)
    keys = jax.random.split(key, 2)
    together = jax.vmap(optimize, in_axes=(0, 0, 0, None, 0))(both, pair, memories, rate, keys)
    for i, one in enumerate((optimizer, other)):
        of = partial(jax.tree.map, lambda leaf, i=i: leaf[i])
        alone = optimize(one, of(pair), of(memories), rate, keys[i])
        close(of(together).parameters, alone.parameters, tolerance=1e-4)

    last = first
    for i in range(15):
        last = optimize(optimizer, last.parameters, last.memory, rate, jax.random.fold_in(key, i))
    assert last.loss < 0.8 * first.loss


# --- bad input ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: ForwardNoise(std=-1.0),
        lambda: ParameterAttackTraining(Standard(), float("nan"), ATTACK),
        lambda: ParameterAttackTraining(Standard(), 0.1, ATTACK, boundary_loss="kll"),
        lambda: ParameterAttackTraining(
            Standard(), 0.1, ATTACK, boundary_loss="madry", treat_as_constant=True
        ),
        lambda: GradientDifference(Standard(), 0.1, ATTACK, boundary_loss="kll"),
        lambda: AdversarialWeights(Standard(), ATTACK, gamma=-0.1),
        lambda: InputAttack(-0.1),
        lambda: InputAttack(0.1, n_steps=0),
        lambda: ModelPerturbation(Standard(), size=float("inf")),
        lambda: SharpnessAware(Standard(), rho=-1.0),
        lambda: NormPenalty(Standard(), 0.1, norm="l3"),
        lambda: ContractivePenalty(Standard(), -0.1),
        lambda: WeightMagnitude(Standard(), -1.0),
        lambda: optimizers.optimizer_named("adma"),
        lambda: optimizers.SGD(momentum=1.5),
        lambda: optimizers.EntropySGD(scope=-1.0),
        lambda: optimizers.BlockCoordinateDescent(size=-1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_penalties_on_parameters_that_do_not_exist_are_refused():
    parameters, _ = PLAIN.init(jax.random.key(0))
    objective = Objective(PLAIN, {}, Batch(*data()))
    with pytest.raises(InputError, match="'w_rec' fits no parameter"):
        NormPenalty(Standard(), 0.1, parameters=("w_rec",)).loss(objective, parameters, jax.random.key(0))


def test_no_two_methods_or_optimizers_share_a_structure():
    kinds = [
        kind for module in (methods, optimizers) for kind in vars(module).values() if isinstance(kind, type)
    ]
    settings = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    assert len(settings) > 10
    structures = []
    for kind in settings:
        made = object.__new__(kind)
        for each in dataclasses.fields(kind):
            object.__setattr__(made, each.name, None if each.metadata.get("static") else 0.0)
        structures.append(jax.tree.structure(made))
    for i, one in enumerate(structures):
        assert all(one != other for other in structures[:i]), settings[i]
