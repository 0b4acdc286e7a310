"""Masks, rules of pruning and the optax wrapper, against independent counts and formulas."""

import doctest
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.pruning import masked_optimizer, masks, rules
from jaxrobust.pruning.masked_optimizer import MaskedState, masked, masks_of, with_masks
from jaxrobust.pruning.masks import apply_masks, density, full, kept_counts, kept_per_input, overlap
from jaxrobust.pruning.rules import GlobalPruning, LayerwisePruning, left_after
from jaxrobust.training.checkpoints import load_tree, save_tree

PUBLISHED_RATES = (("w[12]", 0.2), ("w3", 0.1))
# Weights of 784-300-100-10 left after rounds 3, 8, 11, 15, 18 and 20, of the published code and by its rates.
COUNTS = {
    "published": {1: 213057, 3: 136503, 8: 44909, 11: 23079, 15: 9518, 18: 4908, 20: 3160},
    "exact": {1: 213060, 3: 136511, 8: 44923, 11: 23093, 15: 9537, 18: 4928, 20: 3179},
}


NETWORK = MLP(784, (300, 100), 10, start="glorot", has_biases=False)


@pytest.fixture(scope="module")
def tickets():
    shapes, generator = jax.eval_shape(NETWORK.init, jax.random.key(0))[0], np.random.default_rng(0)
    return {name: generator.standard_normal(leaf.shape, np.float32) for name, leaf in shapes.items()}


@pytest.mark.parametrize("module", [masks, rules, masked_optimizer])
def test_examples_run(module):
    globs = {**vars(module), "jax": jax, "jnp": jnp, "optax": optax}
    result = doctest.testmod(module, globs=globs, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed


def test_the_network_has_the_published_weights_in_the_published_range(tickets):
    assert {name: leaf.shape for name, leaf in tickets.items()} == {
        "w1": (784, 300),
        "w2": (300, 100),
        "w3": (100, 10),
    }
    assert sum(leaf.size for leaf in tickets.values()) == 266_200
    for leaf in MLP(300, (), 100, start="glorot", has_biases=False).init(jax.random.key(0))[0].values():
        bound = np.sqrt(6 / 400)
        assert 0.99 * bound < np.abs(leaf).max() <= bound


@pytest.mark.parametrize("counting", COUNTS)
def test_twenty_rounds_leave_the_published_counts(tickets, counting):
    # Magnitudes without ties.
    parameters = {
        name: np.random.default_rng(0).permutation(leaf.size).reshape(leaf.shape) + 1.0
        for name, leaf in tickets.items()
    }
    rule, kept = LayerwisePruning(PUBLISHED_RATES, counting), full(tickets)
    for round_ in range(1, 21):
        new = rule.prune(parameters, kept)
        for name, mask in new.items():
            before, after = np.asarray(kept[name]), np.asarray(mask)
            assert not np.any(after & ~before)
            assert parameters[name][before & ~after].max() < parameters[name][after].min()
        kept = new
        total = sum(n for n, _ in kept_counts(kept).values())
        assert total == COUNTS[counting].get(round_, total)
    assert density(kept) == COUNTS[counting][20] / 266_200
    layers = {"published": (2707, 341, 112), "exact": None}[counting]
    assert layers is None or tuple(n for n, _ in kept_counts(kept).values()) == layers


@pytest.mark.parametrize("counting", COUNTS)
def test_one_shot_leaves_what_the_rounds_leave(tickets, counting):
    rule = LayerwisePruning(PUBLISHED_RATES, counting, n_rounds=8)
    kept = kept_counts(rule.prune(tickets, full(tickets)))
    for name, (n, total) in kept.items():
        rate = 0.1 if name == "w3" else 0.2
        assert abs(n - left_after(total, rate, 8, counting)) <= 1  # ties of the published rule
    random = LayerwisePruning(PUBLISHED_RATES, n_rounds=8, by="random")
    drawn = random.prune(tickets, full(tickets), jax.random.key(0))
    assert sum(n for n, _ in kept_counts(drawn).values()) == COUNTS["exact"][8]
    assert not np.array_equal(drawn["w3"], random.prune(tickets, full(tickets), jax.random.key(1))["w3"])


def test_ties_are_removed_together_by_the_published_rule_and_in_order_by_the_exact_one():
    theta = {"w": jnp.array([1.0, 1.0, -1.0, 2.0, 1.0])}
    exact = LayerwisePruning((("w", 0.4),)).prune(theta, full(theta))["w"]
    assert exact.tolist() == [False, False, True, True, True]
    published = LayerwisePruning((("w", 0.4),), "published").prune(theta, full(theta))["w"]
    assert published.tolist() == [False, False, False, True, False]


def test_rate_zero_prunes_nothing_and_parameters_without_a_rate_are_left_whole():
    theta = {"w": jnp.arange(1.0, 7.0), "b": jnp.zeros(3)}
    kept = LayerwisePruning((("w", 0.0),)).prune(theta, full(theta))
    assert kept_counts(kept) == {"b": (3, 3), "w": (6, 6)}
    kept = LayerwisePruning((("w", 0.5),)).prune(theta, kept)
    assert kept_counts(kept) == {"b": (3, 3), "w": (3, 6)}
    assert density(kept, ("w",)) == 0.5


def test_global_pruning_is_that_of_one_sorted_list(tickets):
    rule = GlobalPruning(0.3, ("w.*",))
    first = rule.prune(tickets, full(tickets))
    second = rule.prune(tickets, first)
    everything = np.concatenate([np.abs(leaf).ravel() for leaf in tickets.values()])
    n_left = left_after(left_after(everything.size, 0.3), 0.3)
    expected = np.zeros(everything.size, bool)
    expected[np.argsort(everything, kind="stable")[everything.size - n_left :]] = True
    assert np.array_equal(np.concatenate([np.ravel(mask) for mask in second.values()]), expected)


def test_overlap_of_equal_and_of_independent_masks(tickets):
    rule = LayerwisePruning((("w.*", 0.8),), by="random")
    one, other = (rule.prune(tickets, full(tickets), jax.random.key(seed)) for seed in (0, 1))
    assert set(overlap(one, one).values()) == {1.0}
    assert overlap(one, other)["all"] == pytest.approx(0.2 / 1.8, abs=3e-3)
    assert overlap(one, other, ("w3",)).keys() == {"w3", "all"}


def test_kept_weights_per_input():
    mask = jnp.array([[True, False], [False, False], [True, True]])
    assert kept_per_input(mask).tolist() == [1, 0, 2]
    with pytest.raises(InputError, match="matrix"):
        kept_per_input(mask[0])


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.2"])
def test_a_rate_outside_its_range_is_one_sentence(rate):
    for make in (lambda: LayerwisePruning((("w", rate),)), lambda: GlobalPruning(rate)):
        with pytest.raises(InputError, match="at least 0 and below 1"):
            make()


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        (lambda t, m: LayerwisePruning((("v1", 0.2),)).prune(t, m), "'v1' fits no parameter"),
        (lambda t, m: GlobalPruning(0.2, ("v1",)).prune(t, m), "'v1' fits no parameter"),
        (lambda t, m: LayerwisePruning((("w", 0.9),)).prune(t, m), "leave none of the 4 kept weights of 'w'"),
        (lambda t, m: GlobalPruning(0.45).prune(t, m), "leave none of the 4 kept weights of 'w'"),
        (lambda t, m: LayerwisePruning((("w", 0.2),), by="random").prune(t, m), "needs a key"),
        (
            lambda t, m: LayerwisePruning((("w", 0.2),)).prune({**t, "w": t["w"] * jnp.nan}, m),
            "not all finite",
        ),
        (lambda t, m: LayerwisePruning((("w", 0.2),)).prune(t, {"w": m["w"]}), "tree like the parameters"),
        (lambda t, m: apply_masks(t, {**m, "w": m["w"][:2]}), "'w' has shape"),
        (lambda t, m: LayerwisePruning((("w", 0.2),), "fair"), "exact, published"),
        (lambda t, m: LayerwisePruning((("w", 0.2),), n_rounds=0), "at least 1"),
    ],
)
def test_bad_input_is_one_sentence(prune, message):
    theta = {"v": jnp.arange(5.0, 10.0), "w": jnp.arange(1.0, 5.0)}
    with pytest.raises(InputError, match=message) as caught:
        prune(theta, full(theta))
    assert "\n" not in str(caught.value)


OPTIMIZERS = {
    "adam": optax.adam(0.1),
    "momentum and decay": optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1, momentum=0.9)),
    "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.1)),
}


@pytest.mark.parametrize("inner", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_masked_optimizer_trains_the_kept_weights_alone(inner):
    theta = {"w": jnp.array([1.0, -2.0, 3.0]), "b": jnp.array([1.0])}
    kept = {"w": jnp.array([True, False, True]), "b": jnp.array([True])}
    optimizer = masked(inner, kept)
    small = {"w": theta["w"][jnp.array([0, 2])], "b": theta["b"]}  # the network without the pruned weight
    state, small_state = optimizer.init(theta), inner.init(small)
    for step in range(4):
        gradient = jax.tree.map(lambda p, s=step: jnp.cos(p + s), theta)
        updates, state = optimizer.update(gradient, state, theta)
        theta = optax.apply_updates(theta, updates)
        gradient = jax.tree.map(lambda p, s=step: jnp.cos(p + s), small)
        updates, small_state = inner.update(gradient, small_state, small)
        small = optax.apply_updates(small, updates)
        assert theta["w"][1] == 0
    np.testing.assert_allclose(theta["w"][jnp.array([0, 2])], small["w"], rtol=1e-6)
    np.testing.assert_allclose(theta["b"], small["b"], rtol=1e-6)


def test_masks_are_arguments_of_one_program_and_travel_with_checkpoints(tmp_path):
    theta = {"w": jnp.arange(1.0, 9.0), "b": jnp.ones(2)}
    optimizer = optax.chain(masked(optax.adam(0.1)), optax.identity())
    n_traces = 0

    @jax.jit
    def step(theta, state):
        nonlocal n_traces
        n_traces += 1
        updates, state = optimizer.update(jax.tree.map(jnp.sin, theta), state, theta)
        return optax.apply_updates(theta, updates), state

    rule, state = LayerwisePruning((("w", 0.5),)), optimizer.init(theta)
    for expected in (8, 4, 2):
        theta, state = step(theta, state)
        assert int(jnp.count_nonzero(theta["w"])) == expected
        state = with_masks(state, rule.prune(theta, masks_of(state)))
    assert n_traces == 1
    save_tree(tmp_path / "state.safetensors", state)
    restored, _ = load_tree(tmp_path / "state.safetensors", like=optimizer.init(theta))
    assert kept_counts(masks_of(restored)) == {"b": (2, 2), "w": (1, 8)}
    ours, _ = step(theta, state)
    theirs, _ = step(theta, restored)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, ours, theirs)))


def test_what_a_masked_optimizer_cannot_do_is_one_sentence():
    theta = {"w": jnp.ones(3)}
    with pytest.raises(InputError, match="tree like the parameters"):
        masked(optax.sgd(0.1), {"v": jnp.ones(3)}).init(theta)
    optimizer = masked(optax.sgd(0.1))
    state = optimizer.init(theta)
    with pytest.raises(InputError, match="needs the parameters"):
        optimizer.update(theta, state)
    with pytest.raises(InputError, match="2 masked optimizers"):
        masks_of((state, state))
    with pytest.raises(InputError, match="has shape"):
        with_masks(state, {"w": jnp.ones(2, bool)})
    assert isinstance(state, MaskedState)


def test_the_page_prunes_in_a_loop_of_its_own(capsys):
    page = (Path(__file__).parents[2] / "docs" / "sparse_tickets.md").read_text()
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out == "0.25\n"
