"""Every perturbation keeps every promise of ``perturbations.perturbation.Perturbation``: promise x case."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.errors import InputError
from jaxrobust.path_rules import assign
from jaxrobust.perturbations.faults import BitFlips, Quantization, StuckAt
from jaxrobust.perturbations.mismatch import BoxCorner, GaussianMismatch, LogNormalMismatch, WeightRangeNoise
from jaxrobust.perturbations.noise import AdditiveNoise, AdditiveUniform, CombinedNoise, MultiplicativeNoise
from jaxrobust.perturbations.perturbation import Chain, Matching, Perturbation, Selected, at
from jaxrobust.perturbations.phase_change_memory import PhaseChangeMemory

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Attacking(NamedTuple):
    """An attack in the dress of a perturbation, on a smooth loss."""

    settings: ParameterAttack

    def perturb(self, key, parameters):
        def loss(p):
            leaves = [jnp.sum(jnp.sin(3 * x) + x**2).astype(jnp.float32) for x in jax.tree.leaves(p)]
            return jnp.sum(jnp.stack(leaves))

        return attack(loss, parameters, key, self.settings).parameters


def example(dtype: type[np.floating] = np.float32):
    rng = np.random.default_rng(0)
    return {
        "w": jnp.asarray(rng.standard_normal((5, 4)), dtype),
        "deep": {"bias": jnp.asarray(rng.standard_normal(4), dtype)},
    }


def span(p):
    return np.max(p) - np.min(p)


class Case(NamedTuple):
    """A perturbation and what is known of it.

    ``bound(leaf)`` is how far an element of that leaf may move; infinity where there is no bound.
    ``derivative(theta, moved)`` is the elementwise derivative, where there is a closed form.
    """

    perturbation: Any
    bound: Any
    derivative: Any = None
    is_random: bool = True


PER_LEAF = {"w": 0.3, "deep": {"bias": 0.1}}
NO_BOUND = lambda p: np.inf  # noqa: E731
CASES = {
    "gaussian mismatch": Case(GaussianMismatch(0.2), NO_BOUND, lambda p, q: q / p),
    "gaussian mismatch by layer": Case(GaussianMismatch(PER_LEAF), NO_BOUND, lambda p, q: q / p),
    "box corner": Case(BoxCorner(0.2), lambda p: 0.2 * np.abs(p), lambda p, q: q / p),
    "log-normal": Case(LogNormalMismatch(0.2), NO_BOUND, lambda p, q: q / p),
    "additive Gaussian": Case(AdditiveNoise(0.1), NO_BOUND, lambda p, q: 1),
    "additive uniform": Case(AdditiveUniform(0.1), lambda p: 0.1, lambda p, q: 1),
    "weight range": Case(WeightRangeNoise(0.05), NO_BOUND),
    "weight half-width": Case(WeightRangeNoise(0.05, of="half_width"), NO_BOUND),
    "quantization": Case(Quantization(4), lambda p: span(p) / 15 / 2, is_random=False),
    "bit flips": Case(BitFlips(0.1, bits=5), span),
    "additive noise, 4 executions": Case(AdditiveNoise(0.1, 0.2, n_executions=4), NO_BOUND, lambda p, q: 1),
    "normalized noise": Case(AdditiveNoise(0.4, normalize=True), NO_BOUND, lambda p, q: 1),
    "multiplicative noise": Case(MultiplicativeNoise(0.2, n_executions=2), NO_BOUND, lambda p, q: q / p),
    "multiply, then add": Case(CombinedNoise(0.1, 0.2), NO_BOUND),
    "add, then multiply": Case(CombinedNoise(0.1, 0.2, "add_then_multiply", n_executions=3), NO_BOUND),
    "at a position": Case(at("fc2", AdditiveNoise(0.1), BoxCorner(0.1)), NO_BOUND),
    "stuck at zero": Case(StuckAt(0.3), np.abs, lambda p, q: q == p),
    "stuck at minimum": Case(StuckAt(0.3, at="minimum"), lambda p: p - np.min(p)),
    "stuck at maximum": Case(StuckAt(0.3, at="maximum"), lambda p: np.max(p) - p),
    "phase-change memory": Case(PhaseChangeMemory(time=3600.0), NO_BOUND),
    "phase-change memory, uncompensated": Case(PhaseChangeMemory(time=25.0, compensate=False), NO_BOUND),
    "chain": Case(Chain((BoxCorner(0.1), AdditiveUniform(0.1))), lambda p: 0.1 * np.abs(p) + 0.1),
    "selected": Case(
        Selected(BoxCorner(0.2), {"w": True, "deep": {"bias": False}}),
        lambda p: 0.2 * np.abs(p) * (p.ndim == 2),
        lambda p, q: q / p,
    ),
    "matching": Case(
        Matching(BoxCorner(0.2), "w.*"), lambda p: 0.2 * np.abs(p) * (p.ndim == 2), lambda p, q: q / p
    ),
    "attack": Case(Attacking(ParameterAttack(n_steps=3)), lambda p: 0.2 * np.abs(p), lambda p, q: q / p),
    "attack, absolute": Case(
        Attacking(
            ParameterAttack(relative_size=0.0, absolute_size=0.1, initial_absolute_std=0.01, n_steps=3)
        ),
        lambda p: 0.1,
    ),
    "attack, norm 2": Case(
        Attacking(ParameterAttack(norm="2", n_steps=3)), lambda p: 0.2 * np.abs(p), lambda p, q: q / p
    ),
    "attack from a point of the box": Case(
        Attacking(ParameterAttack(n_steps=5, start="box", halving=True, momentum=0.25, keep="best")),
        lambda p: 0.2 * np.abs(p),
        lambda p, q: q / p,
    ),
    "attack from a corner, norm 2": Case(
        Attacking(ParameterAttack(n_steps=2, start="corner", norm="2", step=0.5)),
        lambda p: 0.2 * np.abs(p),
        lambda p, q: q / p,
    ),
    "attack by layer": Case(
        Attacking(ParameterAttack(relative_size=PER_LEAF, n_steps=2)),
        lambda p: 0.3 * np.abs(p),
        lambda p, q: q / p,
    ),
    "attack by name": Case(
        Attacking(ParameterAttack(n_steps=2, factors=(("deep/.*", 0.0), (".*", 0.5)))),
        lambda p: 0.1 * np.abs(p) * (p.ndim == 2),
        lambda p, q: q / p,
    ),
}


def assert_equal_trees(a, b, *, rtol=1e-6, atol=1e-7):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=rtol, atol=atol), a, b)


traced = []


# Compiled once for each structure of perturbation, whatever its numbers are.
@jax.jit
def perturbed(perturbation, key, parameters):
    traced.append(perturbation)
    return perturbation.perturb(key, parameters)


devices = jax.jit(
    jax.vmap(lambda perturbation, key, p: perturbation.perturb(key, p), in_axes=(None, 0, None))
)
KEYS = jax.random.split(jax.random.key(1), 20)


def equals_eager(case):
    compiled = perturbed(case.perturbation, KEYS[0], example())
    assert_equal_trees(compiled, case.perturbation.perturb(KEYS[0], example()))


def gives_the_same_for_the_same_key_only(case):
    one, again, other = (perturbed(case.perturbation, KEYS[i], example()) for i in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert np.array_equal(one["w"], other["w"]) != case.is_random


def under_vmap_equals_a_loop(case):
    many = devices(case.perturbation, KEYS, example())
    for index in range(3):
        alone = perturbed(case.perturbation, KEYS[index], example())
        assert_equal_trees(jax.tree.map(lambda leaf, i=index: leaf[i], many), alone)


def moves_something_but_not_beyond_its_bound(case):
    many = devices(case.perturbation, KEYS, example())
    assert np.max(np.abs(many["w"] - example()["w"])) > 1e-3

    def within_bound(moved, before):
        before = np.asarray(before, np.float64)
        slack = 4 * np.finfo(np.float32).eps * (np.abs(before) + span(before))
        assert np.all(np.abs(moved - before) <= case.bound(before) + slack)

    jax.tree.map(within_bound, many, example())


def recompiles_nothing_for_other_numbers(case):
    one = perturbed(case.perturbation, KEYS[0], example())
    n_compiled = len(traced)
    other = jax.tree.map(lambda n: n if isinstance(n, bool) else n * 2, case.perturbation)
    with_other_numbers = perturbed(other, KEYS[0], example())
    assert len(traced) == n_compiled
    assert not np.array_equal(with_other_numbers["w"], one["w"])


def weighted_sum_and_derivative(case):
    weights = jax.tree.map(
        lambda p: jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), example(np.float64)
    )

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def weighted(p):
        moved = case.perturbation.perturb(KEYS[5], p)
        products = jax.tree.map(lambda m, w: jnp.sum(m * w), moved, weights)
        return sum(jax.tree.leaves(products)), moved

    return weighted, weights


def is_finite_at_zero_and_at_equal_elements(case):
    with jax.enable_x64(True):
        weighted, _ = weighted_sum_and_derivative(case)
        for like in (jnp.zeros_like, jnp.ones_like):
            (_, moved), gradient = weighted(jax.tree.map(like, example(np.float64)))
            for leaf in jax.tree.leaves((moved, gradient)):
                assert leaf.dtype == np.float64
                assert np.isfinite(leaf).all()


def has_its_derivative_in_closed_form(case):
    with jax.enable_x64(True):
        parameters = example(np.float64)
        weighted, weights = weighted_sum_and_derivative(case)
        (_, moved), gradient = weighted(parameters)
        for p, q, g, w in zip(*map(jax.tree.leaves, (parameters, moved, gradient, weights)), strict=True):
            np.testing.assert_allclose(
                g, np.asarray(case.derivative(p, q), g.dtype) * w, rtol=1e-10, atol=1e-12
            )


def keeps_structure_shapes_and_dtypes(case):
    assert isinstance(case.perturbation, Perturbation)
    for tree in (example(), example(jnp.bfloat16)):
        result = jax.eval_shape(case.perturbation.perturb, KEYS[0], tree)
        assert jax.tree.structure(result) == jax.tree.structure(tree)
        for before, after in zip(jax.tree.leaves(tree), jax.tree.leaves(result), strict=True):
            assert (after.dtype, after.shape) == (before.dtype, before.shape)


PROMISES = (
    equals_eager,
    gives_the_same_for_the_same_key_only,
    under_vmap_equals_a_loop,
    moves_something_but_not_beyond_its_bound,
    recompiles_nothing_for_other_numbers,
    is_finite_at_zero_and_at_equal_elements,
    has_its_derivative_in_closed_form,
    keeps_structure_shapes_and_dtypes,
)


@pytest.mark.parametrize(
    ("promise", "case"),
    [
        pytest.param(promise, case, id=f"{name} {promise.__name__}")
        for name, case in CASES.items()
        for promise in PROMISES
        if case.derivative is not None or promise is not has_its_derivative_in_closed_form
    ],
)
def test_promise(promise, case):
    promise(case)


def test_no_two_kinds_of_settings_have_the_same_structure():
    """Or a compiled program might be run on settings it was not compiled for (see ``settings_tree``)."""
    structures = {type(c.perturbation).__name__: jax.tree.structure(c.perturbation) for c in CASES.values()}
    kinds = list(structures.values())
    assert len(kinds) > 10
    for index, kind in enumerate(kinds):
        assert kind not in kinds[:index]
    by_value = [jax.tree.structure(StuckAt(0.1, at=at)) for at in ("zero", "minimum")]
    assert by_value[0] != by_value[1]
    assert jax.tree.structure(StuckAt(0.1)) == jax.tree.structure(StuckAt(0.2))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GaussianMismatch(-0.1), "level of GaussianMismatch must be a finite number of at least 0"),
        (lambda: GaussianMismatch({"w": 0.1, "b": float("nan")}), "finite number of at least 0, not nan"),
        (lambda: BoxCorner(float("inf")), "size of BoxCorner must be a finite"),
        (lambda: LogNormalMismatch(-1), "level of LogNormalMismatch"),
        (lambda: AdditiveNoise(np.float32(-1)), "std of AdditiveNoise"),
        (
            lambda: AdditiveNoise(0.1, n_executions=0),
            "n_executions of AdditiveNoise must be a finite number of",
        ),
        (lambda: MultiplicativeNoise(float("nan")), "std of MultiplicativeNoise"),
        (lambda: CombinedNoise(0.1, -0.1), "std_mul of CombinedNoise"),
        (lambda: CombinedNoise.of_amplitude(1.0, 1.5), "ratio of CombinedNoise must be .* at most 1"),
        (lambda: CombinedNoise(0.1, 0.1, cast(Any, "both")), "order must be one of multiply_then_add"),
        (lambda: at("fc2"), "needs a perturbation"),
        (lambda: at("", AdditiveNoise(0.1)), "position must be a name of network.positions"),
        (lambda: AdditiveUniform(-1), "size of AdditiveUniform"),
        (lambda: WeightRangeNoise(-1), "level of WeightRangeNoise"),
        (
            lambda: WeightRangeNoise(0.1, of=cast(Any, "max")),
            "of must be one of absolute_maximum, half_width, not 'max'",
        ),
        (
            lambda: Quantization(0),
            "bits of Quantization must be a finite number of at least 1 and at most 24",
        ),
        (
            lambda: BitFlips(1.5),
            "probability of BitFlips must be a finite number of at least 0 and at most 1",
        ),
        (lambda: BitFlips(0.5, bits=25), "bits of BitFlips"),
        (lambda: StuckAt(2), "probability of StuckAt"),
        (lambda: StuckAt(0.1, at=cast(Any, "low")), "at must be one of zero, minimum, maximum, not 'low'"),
        (
            lambda: PhaseChangeMemory(time=1.0),
            "time of PhaseChangeMemory must be a finite number of at least 25",
        ),
        (lambda: replace(PhaseChangeMemory(), drift_scale=-1.0), "drift_scale of PhaseChangeMemory"),
    ],
)
def test_bad_settings_are_refused_at_once(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_levels_of_another_tree_are_refused():
    with pytest.raises(InputError, match="must be one number or a tree like the parameters"):
        GaussianMismatch({"v": 0.1}).perturb(jax.random.key(0), example())


def test_factors_by_name_are_sizes_by_layer():
    by_name = ParameterAttack(0.2, 0.1, 0.01, 0.02, 3, factors=(("w", 0.5), (".*", 0.0)))
    of = {"w": 0.5, "deep": {"bias": 0.0}}
    by_layer = ParameterAttack(
        *(jax.tree.map(lambda factor, size=size: size * factor, of) for size in (0.2, 0.1, 0.01, 0.02)), 3
    )
    assert_equal_trees(
        Attacking(by_name).perturb(jax.random.key(1), example()),
        Attacking(by_layer).perturb(jax.random.key(1), example()),
    )


def test_names_that_fit_no_parameter_are_refused():
    with pytest.raises(InputError, match=r"The rule 'conv\.\*' fits no parameter; there are deep/bias, w"):
        Attacking(ParameterAttack(factors=(("conv.*", 0.0), (".*", 1.0)))).perturb(
            jax.random.key(0), example()
        )
    with pytest.raises(InputError, match="No rule fits the parameter 'deep/bias'"):
        Attacking(ParameterAttack(factors=(("w", 0.5),))).perturb(jax.random.key(0), example())
    with pytest.raises(InputError, match="The rule 'conv' fits no parameter"):
        Matching(BoxCorner(0.2), "conv").perturb(jax.random.key(0), example())
    with pytest.raises(InputError, match="factor of an attack on 'w' must be finite and at least 0, not -1"):
        ParameterAttack(factors=(("w", -1.0),))


def test_a_pattern_for_everything_selects_everything():
    key = jax.random.key(0)
    assert_equal_trees(
        Matching(BoxCorner(0.2), ".*").perturb(key, example()), BoxCorner(0.2).perturb(key, example())
    )


def test_selected_leaves_the_others_alone_and_does_not_change_the_draws():
    where = assign([("deep/.*", False), (".*", True)], example())
    everything = BoxCorner(0.2).perturb(jax.random.key(0), example())
    some = Selected(BoxCorner(0.2), where).perturb(jax.random.key(0), example())
    np.testing.assert_array_equal(some["w"], everything["w"])
    jax.tree.map(np.testing.assert_array_equal, some["deep"], example()["deep"])
