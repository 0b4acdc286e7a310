"""Every training method through the same promises, on a toy problem; a new method is one line in METHODS."""

import dataclasses
from dataclasses import dataclass
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.input_attack import InputAttack
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.criteria import SquaredError
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import WeightRangeNoise
from jaxrobust.perturbations.noise import AdditiveNoise
from jaxrobust.training import methods, optimizers
from jaxrobust.training.methods import (
    AdversarialTraining,
    AdversarialWeights,
    AttackedSamples,
    Batch,
    ContractivePenalty,
    FiringRates,
    ForwardNoise,
    GradientDifference,
    Method,
    ModelPerturbation,
    NoisyActivations,
    NormPenalty,
    Objective,
    ParameterAttackTraining,
    PerturbedForward,
    SharpnessAware,
    Standard,
    Trades,
    VarianceAwareNoise,
    WeightMagnitude,
)
from jaxrobust.training.methods.joining import join
from jaxrobust.trees import Number, settings_tree


@settings_tree
@dataclass(frozen=True)
class InputGradientPenalty:
    """A method of this file alone: no other file knows it."""

    base: Method
    weight: Number

    def loss(self, objective, parameters, key):
        loss, outputs = self.base.loss(objective, parameters, key)
        slope = jax.grad(lambda x: objective.with_inputs(x).loss(parameters, key)[0])
        return loss + self.weight * jnp.sum(slope(objective.inputs) ** 2), outputs


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
    "adversarial inputs": AdversarialTraining(Standard(), InputAttack(0.1), share=0.5),
    "adversarial inputs, predicted": AdversarialTraining(
        ForwardNoise(std=0.1), InputAttack(0.1), share=0.6, labels="predicted"
    ),
    "attacked samples": AttackedSamples(Standard(), InputAttack(0.1), share=0.5),
    "TRADES": Trades(Standard(), 0.5, InputAttack(0.1)),
    "l1": NormPenalty(Standard(), 0.001, norm="l1", parameters=("w1",)),
    "l2": NormPenalty(Standard(), 0.001, norm="l2"),
    "l2 squared": NormPenalty(Standard(), 0.001),
    "contractive": ContractivePenalty(Standard(), 0.01),
    "weight magnitude": WeightMagnitude(Standard(), 0.1, parameters=("w1",)),
    "noisy activations": NoisyActivations(Standard(), {"relu1": AdditiveNoise(0.1)}),
    "variance aware": VarianceAwareNoise(Standard(), 0.3, 0.45, 0.2, ("input", "relu1")),
    "firing rates": FiringRates(Standard(), 0.1),
    "of this file": InputGradientPenalty(Standard(), 0.1),
}
PLAIN = MLP(n_in=4, n_hidden=(6,), n_out=3)
# The other boundary losses share all code but one function with the first.
SLOW = ("beta, reverse_kl", "beta, js, constant", "beta, l2", "beta, madry")
every_method = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in METHODS]
)
KEY = jax.random.key(3)
LATER = jnp.float32(1.0)


def network_of(name):
    return MLP(n_in=4, n_hidden=(6,), n_out=3, dropout=0.2) if name == "dropout" else PLAIN


def data(n=24):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    centres = np.array([[1, 0, 0, -1], [0, 1, -1, 0], [-1, -1, 1, 1]])
    return Batch(jnp.float32(centres[labels] + 0.3 * rng.standard_normal((n, 4))), jnp.int32(labels))


@partial(jax.jit, static_argnums=0)
def compiled_step(network, parameters, method, key, epoch):
    """Loss, logits and gradient; one program per network and structure of method."""
    objective = Objective(network, {}, data(), epoch=epoch)
    (loss, outputs), gradient = jax.value_and_grad(lambda p: method.loss(objective, p, key), has_aux=True)(
        parameters
    )
    return loss, outputs.logits, gradient


def step(network, parameters, method, key, epoch=LATER):
    return compiled_step(network, parameters, method, key, epoch)


def numbers(method):
    return jax.tree.map(jnp.float32, method)


@cache
def case(name):
    network, method = network_of(name), numbers(METHODS[name])
    parameters, _ = network.init(jax.random.key(1))
    return network, method, parameters, step(network, parameters, method, KEY)


def close(one, other, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_every_public_method_is_here():
    classes = {type(method) for method in METHODS.values()}
    public = (getattr(methods, name) for name in methods.__all__)
    assert {c for c in public if isinstance(c, type) and hasattr(c, "loss")} - {Method, Objective} <= classes


@every_method
def test_compiled_equals_eager(name):
    network, method, parameters, (loss, logits, _) = case(name)
    with jax.disable_jit():
        objective = Objective(network, {}, data(), epoch=LATER)
        eager_loss, eager = method.loss(objective, parameters, KEY)
    close((loss, logits), (eager_loss, eager.logits))


@every_method
def test_the_gradient_has_shapes_and_dtypes_of_the_parameters_and_is_not_zero(name):
    _, _, parameters, (loss, _, gradient) = case(name)
    assert (loss.shape, loss.dtype) == ((), jnp.float32)
    assert jax.tree.map(lambda g: (g.shape, g.dtype), gradient) == jax.tree.map(
        lambda p: (p.shape, p.dtype), parameters
    )
    assert any(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))


@every_method
def test_the_same_key_gives_the_same_bits_and_other_numbers_compile_nothing(name):
    network, method, parameters, first = case(name)
    close(step(network, parameters, method, KEY), first, tolerance=0)
    compiled = compiled_step._cache_size()
    other = jax.tree.map(lambda number: number * 1.5, method)
    step(network, parameters, other, jax.random.key(4), jnp.float32(0.0))
    assert compiled_step._cache_size() == compiled


@every_method
def test_zero_parameters_give_no_nan(name):
    network, method, parameters, _ = case(name)
    loss, _, gradient = step(network, jax.tree.map(jnp.zeros_like, parameters), method, KEY)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, gradient)))


@every_method
def test_models_side_by_side_equal_each_alone(name):
    network, method, parameters, _ = case(name)
    other = jax.tree.map(lambda number: number * 1.5, method)
    keys = jax.random.split(KEY, 2)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), method, other)
    pair = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p]), parameters)
    together = jax.vmap(lambda p, m, k: step(network, p, m, k))(pair, both, keys)
    for i, one in enumerate((method, other)):
        alone = step(network, jax.tree.map(lambda p, i=i: p[i], pair), one, keys[i])
        close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, tolerance=2e-5)


@every_method
def test_steps_downhill_lower_the_task_loss(name):
    network, method, parameters, _ = case(name)
    trained = parameters
    for i in range(25):
        _, _, gradient = step(network, trained, method, jax.random.fold_in(KEY, i))
        trained = jax.tree.map(lambda p, g: p - 0.1 * g, trained, gradient)
    before, after = (step(PLAIN, p, Standard(), KEY)[0] for p in (parameters, trained))
    assert after < 0.8 * before


NEUTRAL = [name for name, method in METHODS.items() if hasattr(method, "neutral")]


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_part_without_effect_leaves_the_loss_of_its_base(name):
    network, method, parameters, _ = case(name)
    off = dataclasses.replace(method, **numbers(type(method).neutral))
    base = getattr(method, "base", Standard())
    close(step(network, parameters, off, KEY), step(network, parameters, base, KEY), tolerance=1e-6)


def test_methods_join_through_parts_of_weight_zero():
    robust = ParameterAttackTraining(ForwardNoise(0.1), 0.25, ATTACK)
    joined = join([Standard(), ForwardNoise(0.2), robust])
    assert len({jax.tree.structure(method) for method in joined}) == 1
    assert joined[0] == ParameterAttackTraining(ForwardNoise(0.0), 0.0, ATTACK)
    assert joined[1] == ParameterAttackTraining(ForwardNoise(0.2), 0.0, ATTACK)
    assert joined[2] == robust


@pytest.mark.parametrize(
    "given",
    [
        [Standard(), SharpnessAware(Standard(), 0.1)],  # which nothing switches off
        [NormPenalty(Standard(), 0.1, norm="l1"), NormPenalty(Standard(), 0.1)],
        [FiringRates(NormPenalty(Standard(), 0.1), 0.1), NormPenalty(FiringRates(Standard(), 0.1), 0.1)],
    ],
)
def test_methods_that_cannot_join_stay_as_they_are(given):
    assert join(given) == given


def test_adversarial_training_is_the_mean_over_clean_and_attacked_inputs():
    method = AdversarialTraining(Standard(), InputAttack(0.3, n_steps=1), share=0.25)
    parameters, _ = PLAIN.init(jax.random.key(1))
    objective = Objective(PLAIN, {}, data())
    loss, outputs = method.loss(objective, parameters, KEY)

    def task(x):
        return objective.with_inputs(x).loss(parameters, KEY)[0]

    start = objective.inputs + 0.3 * jax.random.uniform(
        jax.random.split(KEY, 4)[2], objective.inputs.shape, minval=-1, maxval=1
    )
    moved = start + 0.3 * jnp.sign(jax.grad(task)(start))
    attacked = jnp.clip(moved, objective.inputs - 0.3, objective.inputs + 0.3)
    np.testing.assert_allclose(loss, 0.75 * task(objective.inputs) + 0.25 * task(attacked), rtol=1e-5)
    np.testing.assert_array_equal(outputs.logits, PLAIN.forward(parameters, {}, objective.inputs).logits)


def test_activations_are_noisy_in_training_only():
    parameters, _ = PLAIN.init(jax.random.key(1))
    objective = Objective(PLAIN, {}, data())
    method = NoisyActivations(Standard(), {"relu1": AdditiveNoise(1.0)})
    losses = {float(method.loss(objective, parameters, jax.random.key(i))[0]) for i in range(3)}
    assert len(losses) == 3
    silent = NoisyActivations(Standard(), {"relu1": AdditiveNoise(0.0)})
    np.testing.assert_allclose(
        silent.loss(objective, parameters, KEY)[0], objective.loss(parameters, KEY)[0], rtol=1e-6
    )


def test_terms_of_the_task_loss_need_spikes():
    parameters, _ = PLAIN.init(jax.random.key(1))
    close(
        step(PLAIN, parameters, numbers(FiringRates(Standard(), 9.0)), KEY),
        step(PLAIN, parameters, Standard(), KEY),
        tolerance=0,
    )


def test_methods_take_the_criterion_of_the_objective():
    parameters, _ = PLAIN.init(jax.random.key(1))
    inputs, labels = data()
    targets = jax.nn.one_hot(labels, 3)
    objective = Objective(PLAIN, {}, Batch(inputs, targets), SquaredError())
    loss, outputs = NormPenalty(Standard(), 0.0).loss(objective, parameters, KEY)
    np.testing.assert_allclose(loss, np.mean((outputs.logits - targets) ** 2), rtol=1e-6)


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
        lambda: AdversarialTraining(Standard(), InputAttack(0.1), share=1.5),
        lambda: AdversarialTraining(Standard(), InputAttack(0.1), labels="random"),
        lambda: Trades(Standard(), -1.0, InputAttack(0.1)),
        lambda: FiringRates(Standard(), -1.0),
        lambda: InputAttack(-0.1),
        lambda: InputAttack(0.1, n_steps=0),
        lambda: ModelPerturbation(Standard(), size=float("inf")),
        lambda: SharpnessAware(Standard(), rho=-1.0),
        lambda: NormPenalty(Standard(), 0.1, norm="l3"),
        lambda: ContractivePenalty(Standard(), -0.1),
        lambda: WeightMagnitude(Standard(), -1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_penalties_on_parameters_that_do_not_exist_are_refused():
    parameters, _ = PLAIN.init(jax.random.key(0))
    objective = Objective(PLAIN, {}, data())
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
