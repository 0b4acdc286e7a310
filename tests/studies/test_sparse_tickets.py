"""Rounds of pruning: where they start, what they share, what makes them run again, and what is measured."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.attacks.input_attack import fgsm, pgd
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.pruning.rules import LayerwisePruning
from jaxrobust.studies.evaluations.input_attacks import attacked_accuracy
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy
from jaxrobust.studies.sparse_tickets import rounds
from jaxrobust.studies.sparse_tickets.measured import density_of, overlaps, weights
from jaxrobust.studies.sparse_tickets.protocol import (
    L1_GRID,
    PUBLISHED_PRUNING,
    STRATEGIES,
    dense_points,
    method_named,
    strategy_name,
)
from jaxrobust.studies.sparse_tickets.rounds import masks_of, program_of, round_stages, ticket_point
from jaxrobust.studies.sparse_tickets.strategies import Continue, Reinitialize, Rewind, RewindToEnd
from jaxrobust.studies.stages import Stage, plan_stages
from jaxrobust.studies.training_points import load_optimizer, load_variables
from jaxrobust.training.program import train_block
from jaxrobust.training.schedule import Steps

NETWORK = MLP(784, (8,), 10, start="glorot", has_biases=False)
PRUNING = LayerwisePruning((("w1", 0.5), ("w2", 0.2)))


def dense(seed=0, n_steps=6, **changed):
    how = {"keep_steps": (0, 3), "probed": ("FGSM",), "split": ""}
    how |= {name: changed.pop(name) for name in ("l1", "keep_optimizer") if name in changed}
    (point,) = dense_points("digits_28x28", ["natural"], [seed], n_steps, **how)
    small = {"network": NETWORK, "batch_size": 20, "eval_step_interval": 3}
    return {**point, **small, **changed}


def computed(points, store):
    return dj.run(list(points), "train", store_key="*", cache_dir=store, progress=False)("{*}")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Round 0, and two rounds of every strategy, in a store."""
    store = tmp_path_factory.mktemp("store")
    (zero,) = computed([dense()], store)
    strategies = [Rewind(0), Rewind(3), RewindToEnd(), Continue(), Reinitialize()]
    first = computed(
        [ticket_point(zero, pruning=PRUNING, strategy=s, keep_steps=(0,)) for s in strategies], store
    )
    count = getattr(train_block, "_cache_size")  # noqa: B009 - no part of its declared type
    n_programs = count()
    second = computed(
        [ticket_point(p, pruning=PRUNING, strategy=p["strategy"], keep_steps=(0,)) for p in first], store
    )
    assert count() == n_programs, "masks are arguments: rounds share a program"
    return store, zero, first, second


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def masked(parameters, point):
    return jax.tree.map(lambda p, m: np.where(m, p, np.float32(0)), parameters, masks_of(point, NETWORK))


def test_every_strategy_starts_where_it_says_bit_for_bit(chain):
    _, zero, first, second = chain
    for previous, points in ((None, first), (first, second)):
        for place, point in enumerate(points):
            before = zero if previous is None else previous[place]
            start = load_variables(point, NETWORK, 0).parameters
            strategy = point["strategy"]
            expected = {
                Rewind(0): lambda: load_variables(zero, NETWORK, 0),
                Rewind(3): lambda: load_variables(zero, NETWORK, 3),
                RewindToEnd(): lambda: load_variables(zero, NETWORK),
                Continue(): lambda before=before: load_variables(before, NETWORK),
                Reinitialize(): lambda point=point: Reinitialize().start(point, NETWORK),
            }[strategy]().parameters
            assert bits(start) == bits(masked(expected, point))
            assert bits(load_variables(point, NETWORK)) != bits(start)
            trained = load_variables(point, NETWORK).parameters
            assert bits(trained) == bits(masked(trained, point)), "pruned weights stay zero"
    theta = NETWORK.init(jax.random.split(jax.random.key(0))[0]).parameters
    assert bits(load_variables(zero, NETWORK, 0).parameters) == bits(theta)
    for name, leaf in load_variables(first[0], NETWORK, 0).parameters.items():
        assert np.abs(leaf).max() <= np.sqrt(6 / sum(leaf.shape)), name


def test_random_starts_differ_between_rounds_and_seeds_and_come_again(chain):
    _, zero, first, second = chain
    drawn = [Reinitialize().start(p, NETWORK) for p in (first[4], second[4], {**first[4], "seed": 1})]
    again = Reinitialize().start(first[4], NETWORK)
    assert len({tuple(bits(one)) for one in [*drawn, load_variables(zero, NETWORK, 0)]}) == 4
    assert bits(again) == bits(drawn[0])
    assert bits(Reinitialize(1).start(first[4], NETWORK)) == bits(drawn[2])


def test_rounds_prune_the_smallest_trained_weights_and_count_what_is_left(chain):
    _, zero, first, second = chain
    parameters, masks = load_variables(zero, NETWORK).parameters, masks_of(zero, NETWORK)
    expected = PRUNING.prune(parameters, masks)
    for one, two in zip(first, second, strict=True):
        assert bits(masks_of(one, NETWORK)) == bits(expected)
        assert one["kept_weights"] == {"w1": (3136, 6272), "w2": (64, 80)}
        assert two["kept_weights"] == {"w1": (1568, 6272), "w2": (51, 80)}
        nested = jax.tree.map(
            lambda a, b: bool(np.all(a <= b)), masks_of(two, NETWORK), masks_of(one, NETWORK)
        )
        assert all(jax.tree.leaves(nested))
    assert density_of(second[0]) == pytest.approx(1619 / 6352)


def test_the_number_of_steps_and_the_probes_are_exact(chain):
    _, zero, first, _ = chain
    assert {p["n_steps"] for p in (zero, *first)} == {6}
    for point in (zero, *first):
        history = point["history"]
        assert history["step"] == [0, 3, 6]
        for column in ("clean", "clean loss", "FGSM", "FGSM loss"):
            assert [value is None for value in history[column]] == [False, True, False]
        assert history["FGSM loss"][0] > history["clean loss"][0]


def test_a_changed_setting_runs_what_depends_on_it_alone():
    def keys(dense_point, pruning):
        stages = round_stages(2, pruning, {"natural": (Rewind(0),)})
        one, two = stages
        zero = dj.planned([dense_point], "train", "trained")("{*}")
        first = dj.planned(one.grid({"train": zero}), "train", "trained")("{*}")
        second = dj.planned(two.grid({"round_1": first}), "train", "trained")("{*}")
        return [points[0]["trained"] for points in (zero, first, second)]

    base = keys(dense(), PRUNING)
    other_rate = keys(dense(), replace(PRUNING, rates=(("w1", 0.4), ("w2", 0.2))))
    other_learning_rate = keys(dense(schedule=Steps(6, 0.1)), PRUNING)
    assert base == keys(dense(), PRUNING)
    assert [a == b for a, b in zip(base, other_rate, strict=True)] == [True, False, False]
    assert not set(base) & set(other_learning_rate)


def n_trainings(n_rounds, methods, seeds, datasets):
    points = [p for dataset in datasets for p in dense_points(dataset, methods, seeds, 10)]
    strategies = dict.fromkeys(
        methods, tuple(STRATEGIES[name] for name in ("original", "random", "continued"))
    )
    stages = [
        Stage("train", lambda _: points, "train"),
        *round_stages(n_rounds, PUBLISHED_PRUNING, strategies),
    ]
    return len({call.key for stage in plan_stages(stages, points) for call in stage.calls()})


def test_natural_trainings_are_shared_by_attacks_and_round_0_by_strategies():
    assert n_trainings(2, ("natural", "fgsm", "pgd"), (0, 1), ("mnist",)) == 3 * 2 * (1 + 2 * 3)


@pytest.mark.slow
def test_the_published_grid_is_1830_trainings():
    assert n_trainings(20, ("natural", "fgsm", "pgd"), range(5), ("mnist", "fashion_mnist")) == 1830


def test_rounds_and_strategies_share_a_program_and_other_methods_do_not(chain):
    _, _, first, second = chain
    assert len({program_of(point) for point in (*first, *second)}) == 1
    (adversarial,) = dense_points("digits_28x28", ["fgsm"], [0], 6, split="")
    other = ticket_point({**dense(), "method": adversarial["method"]}, pruning=PRUNING, strategy=Rewind(0))
    assert program_of(other) != program_of(first[0])


def test_tickets_are_evaluated_like_any_network(chain):
    store, _, first, second = chain
    points = [first[0], second[0]]
    how = {"cache_dir": store, "progress": False}
    attacks = [fgsm(0.0), fgsm(0.3), pgd(0.3, n_steps=5), fgsm(0.3, labels="predicted", keep="last")]
    measured = [dj.run(points, attacked_accuracy, **how)("{*}", attack, n_samples=60) for attack in attacks]
    for none, one_step, steps, predicted in zip(*measured, strict=True):
        assert none["accuracy"] == none["clean_accuracy"]
        assert steps["accuracy"] <= one_step["accuracy"] + 0.005
        assert one_step["accuracy"] < one_step["clean_accuracy"]
        assert predicted["accuracy"] >= one_step["accuracy"]
        assert one_step["not_finite"] == 0
    accuracies = dj.run(points, mismatch_accuracy, **how)("{*}", 0.1, 2, n_samples=60)
    assert np.shape(accuracies) == (2, 2)


def test_a_round_goes_on_with_the_optimizer_of_the_one_before_or_from_rest(chain):
    store, _, _, _ = chain
    (zero,) = computed([dense(keep_optimizer=True)], store)
    strategies = [Continue("kept"), RewindToEnd("kept"), Rewind(3, "kept"), Continue()]
    points = [ticket_point(zero, pruning=PRUNING, strategy=strategy) for strategy in strategies]
    first = computed(points, store)
    (second,) = computed([ticket_point(first[0], pruning=PRUNING, strategy=Continue("kept"))], store)
    counts = [int(load_optimizer(p, NETWORK, p["optimizer"]).count) for p in (zero, *first, second)]
    assert counts == [6, 12, 12, 9, 6, 18], "steps that Adam has seen"
    assert [strategy_name(p) for p in first[:3]] == [
        f"{name}, optimizer kept" for name in ("continued", "end of dense training", "rewound to step 3")
    ]
    assert bits(load_variables(first[0], NETWORK)) == bits(load_variables(first[1], NETWORK))
    assert bits(load_variables(first[0], NETWORK)) != bits(load_variables(first[3], NETWORK))
    with pytest.raises(InputError, match="keep_optimizer=True"):
        ticket_point(dense(), pruning=PRUNING, strategy=Continue("kept"))
    with pytest.raises(InputError, match="one of fresh, kept, not 'old'"):
        Continue("old")


def test_the_l1_penalty_is_that_of_the_kept_weights_and_0_is_no_other_training(chain):
    from jaxrobust.training.methods import Batch, Objective

    _, zero, first, _ = chain
    parameters = load_variables(first[0], NETWORK).parameters
    batch = Batch(np.full((2, 784), 0.5, np.float32), np.array([1, 2], np.int32))
    objective = Objective(NETWORK, {}, batch, zero["criterion"], 0.0)
    key = jax.random.key(0)
    without, penalized = (
        jax.jit(jax.value_and_grad(lambda p, method=method: method.loss(objective, p, key)[0]))
        for method in (method_named("natural"), method_named("natural", 0.1))
    )
    (loss, slope), (penalized_loss, penalized_slope) = without(parameters), penalized(parameters)
    masks, kept = masks_of(first[0], NETWORK), 0.0
    for name, leaf in parameters.items():
        mask, pull = np.asarray(masks[name]), np.asarray(penalized_slope[name] - slope[name])
        kept += float(np.abs(leaf[mask]).sum())
        np.testing.assert_allclose(pull, 0.1 * np.sign(leaf) * mask, atol=1e-6)
    assert float(penalized_loss - loss) == pytest.approx(0.1 * kept, rel=1e-4)
    assert method_named("fgsm", 1e-4).base == method_named("natural", 1e-4)
    assert L1_GRID == (0.0, 1e-4)
    assert dense(l1=0.0) == dense()
    assert dense(l1=1e-4)["method"] != dense()["method"]


def test_overlap_start_weights_and_pixels(chain):
    store, _, first, _ = chain
    (zero,) = computed([dense(seed=1)], store)
    (other,) = computed([ticket_point(zero, pruning=PRUNING, strategy=Rewind(0), keep_steps=(0,))], store)
    one, other = {**first[0], "training": "natural"}, {**other, "training": "natural"}
    (pair,) = overlaps([one, other], cache_dir=store, progress=False)
    assert pair["pair"] == "seeds"
    assert 0.2 < pair["overlap"]["w1"] < 0.9
    (found,) = weights([one], cache_dir=store, progress=False)
    assert sum(found["input_map"]) == 3136
    edges, bound = found["start_weights"]["w1"]["edges"], np.sqrt(6 / 792)
    assert -bound <= edges[0] < edges[-1] <= bound


def test_what_cannot_be_a_round_is_one_sentence(chain):
    store, zero, _, _ = chain
    with pytest.raises(InputError, match="rewound to step 5: the dense training keeps the steps 0, 3"):
        ticket_point(zero, pruning=PRUNING, strategy=Rewind(5))
    with pytest.raises(dj.RunError, match="the training has 6 steps only"):
        computed([dense(keep_steps=(7,))], store)
    with pytest.raises(InputError, match="lacks network"):
        ticket_point({"seed": 0}, pruning=PRUNING, strategy=Rewind(0))
    for rates, message in (((("v1", 0.2),), "fits no parameter"), ((("w2", 0.999),), "none of the 80 kept")):
        point = ticket_point(zero, pruning=LayerwisePruning(rates), strategy=Rewind(0))
        with pytest.raises(dj.RunError, match=message):
            computed([point], store)


def test_strategies_have_the_names_of_the_paper(chain):
    _, zero, first, _ = chain
    names = [strategy_name(p) for p in (zero, *first)]
    assert names == ["dense", "original", "rewound to step 3", "end of dense training", "continued", "random"]
    assert list(STRATEGIES) == ["original", "random", "continued", "end of dense training"]


SCRIPT = """
import os, sys
sys.path.insert(0, {tests!r})
import test_sparse_tickets as t
from jaxrobust.studies.sparse_tickets import rounds

together, n_calls = rounds.train_side_by_side, 0

def dying(*arguments):
    global n_calls
    results = together(*arguments)
    n_calls += 1
    if n_calls == 3:
        os.kill(os.getpid(), 9)
    return results

rounds.train_side_by_side = dying
t.five_rounds({store!r})
"""


def five_rounds(store):
    (point,) = computed([dense()], store)
    for _ in range(5):
        (point,) = computed([ticket_point(point, pruning=PRUNING, strategy=Continue())], store)
    return point


@pytest.mark.slow
def test_rounds_survive_a_kill_in_round_3(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), store=str(tmp_path / "killed")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    records = {path: path.read_bytes() for path in (tmp_path / "killed").rglob("*.json")}
    assert len(records) == 3, "rounds 0, 1 and 2"
    resumed = five_rounds(tmp_path / "killed")
    assert all(path.read_bytes() == before for path, before in records.items())
    whole = five_rounds(tmp_path / "whole")
    assert bits(load_variables(resumed, NETWORK)) == bits(load_variables(whole, NETWORK))
    assert resumed["history"] == whole["history"]
    assert rounds.MASKS in resumed
