"""Rows of the sparse tickets on MNIST: one short one, the others slow; and what the shipped records show."""

import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.cli.experiments import grid_of, load_experiments, plan_experiment
from jaxrobust.studies.evaluations.input_attacks import attack_sweep
from jaxrobust.studies.sparse_tickets.measured import density_of, labeled, published_accuracy
from jaxrobust.studies.sparse_tickets.protocol import (
    ATTACKS,
    PUBLISHED_PRUNING,
    STRATEGIES,
    TWO_CORE_SEEDS,
    TWO_CORE_STEPS,
    dense_points,
)
from jaxrobust.studies.sparse_tickets.rounds import round_stages
from jaxrobust.studies.stages import PlannedStage, Stage, finished, plan_stages

ROOT = Path(__file__).parents[2]


def dense(method, n_steps, seeds=(0,)):
    return dense_points("mnist", [method], seeds, n_steps, probed=("FGSM",), n_probe_samples=500)


def trained(stages: list[PlannedStage], store):
    how = {"cache_dir": store, "progress": False}
    for one in stages:
        dj.run(one.grid, one.stage.compute, store_key="*", **how)("{*}")
    return labeled(finished(stages, **how)), how


def rounds(method, n_steps, n_rounds, strategies, seeds, store):
    """Attacked points of all rounds."""
    points = dense(method, n_steps, seeds)
    later = round_stages(n_rounds, PUBLISHED_PRUNING, {method: [STRATEGIES[name] for name in strategies]})
    stages = plan_stages([Stage("train", lambda _: points, "train"), *later], points)
    return trained(stages, store)


def mean(points, strategy, round_, key="accuracy"):
    found = [
        p["attacked"][key] for p in points if p["strategy_name"] == strategy and p.get("round", 0) == round_
    ]
    assert found
    return float(np.mean(found))


@pytest.mark.data
@pytest.mark.usefixtures("mnist")
def test_fgsm_training_defends_against_fgsm_and_natural_training_does_not(tmp_path):
    points = [*dense("fgsm", 1000), *dense("natural", 1000)]
    grid, how = trained(plan_stages([Stage("train", lambda _: points, "train")], points), tmp_path)
    robust, natural = (
        p["attacked"] for p in published_accuracy([{**p, "n_samples": 5000} for p in grid], **how)
    )
    assert robust["accuracy"] >= 0.65
    assert natural["accuracy"] <= 0.10
    assert natural["clean_accuracy"] >= 0.96
    few = {name: ATTACKS[name] for name in ("FGSM", "PGD-10")}
    one_step, steps = (
        p["attacked"]["accuracy"] for p in attack_sweep([{**grid[0], "n_samples": 500}], few, **how)
    )
    assert steps <= one_step + 0.005
    assert [p["history"]["step"] for p in grid] == [[0, 500, 1000]] * 2
    assert grid[0]["n_steps"] == 1000


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.usefixtures("mnist")
def test_tickets_keep_the_robustness_of_the_dense_network_and_random_weights_lose_it(tmp_path):
    grid, how = rounds("fgsm", TWO_CORE_STEPS, 18, ("original", "random"), TWO_CORE_SEEDS["fgsm"], tmp_path)
    check_claim(published_accuracy(grid, **how))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.usefixtures("mnist")
def test_natural_tickets_are_accurate_and_not_robust(tmp_path):
    grid, how = rounds("natural", 1000, 18, ("original", "random"), (0,), tmp_path)
    check_control(published_accuracy(grid, **how))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.usefixtures("mnist")
def test_under_pgd_training_tickets_of_a_sixth_of_the_weights_are_no_less_robust(tmp_path):
    points = dense_points("mnist", ["pgd"], [0], 500)
    later = round_stages(18, PUBLISHED_PRUNING, {"pgd": [STRATEGIES["original"], STRATEGIES["random"]]})
    stages = plan_stages([Stage("train", lambda _: points, "train"), *later], points)
    grid, how = trained(stages, tmp_path)
    attacked = published_accuracy(grid, ("PGD",), **how)
    assert mean(attacked, "original", 8) >= mean(attacked, "dense", 0)
    for round_ in (8, 11, 15, 18):
        assert mean(attacked, "random", round_) <= mean(attacked, "original", round_)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize(
    ("method", "n_steps", "seconds"), [("natural", 1000, 10), ("fgsm", 1000, 20), ("pgd", 500, 60)]
)
def test_trainings_are_fast_enough_on_two_idle_cores(method, n_steps, seconds, tmp_path):
    points = dense_points("mnist", [method], [0], n_steps, probed=("FGSM",), n_probe_samples=500)
    began, cpu = time.monotonic(), time.process_time()
    dj.run(points, "train", cache_dir=tmp_path, progress=False)("{*}")
    # Of a busy machine, the time of the processors counts.
    assert min(time.monotonic() - began, (time.process_time() - cpu) / 2) <= seconds


def check_claim(attacked):
    """Section 6, row 16, of rewinding to the very start."""
    assert mean(attacked, "original", 18) >= mean(attacked, "dense", 0) - 0.05
    assert mean(attacked, "original", 18) >= mean(attacked, "random", 18) + 0.15
    assert mean(attacked, "original", 18, "clean_accuracy") >= 0.90


def check_control(attacked):
    """Section 6, row 17."""
    assert max(p["attacked"]["accuracy"] for p in attacked) <= 0.10
    clean = [mean(attacked, name, 18, "clean_accuracy") for name in ("original", "random")]
    assert clean[0] >= clean[1] + 0.02


@cache
def shipped(name):
    """What the records in sessions/ say, without computing anything."""
    experiment = load_experiments([name], ROOT / "experiments")[name]
    store = ROOT / "sessions"
    stages = plan_experiment(experiment, grid_of(experiment, "published", {}), {}, str(store))
    how = {"cache_dir": store, "run_mode": "load"}
    grid = labeled(finished(stages, **how))
    return published_accuracy(grid, **how), [p for p in grid if p.get("round", 0) in (0, 8, 18)], how


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_the_shipped_records_hold_the_claim_and_its_controls():
    attacked, some, how = shipped("sparse_tickets")
    check_claim([p for p in attacked if p["training"] == "fgsm"])
    check_control([p for p in attacked if p["training"] == "natural"])
    rewound = [p for p in some if p["training"] == "fgsm" and p["strategy_name"] in ("dense", "original")]
    matrix = attack_sweep([{**p, "n_samples": 500} for p in rewound], ATTACKS, **how)
    by_attack = {name: [p for p in matrix if p["attack_name"] == name] for name in ATTACKS}
    for one_step, *others in zip(*by_attack.values(), strict=True):
        for other in others:
            assert other["attacked"]["accuracy"] <= one_step["attacked"]["accuracy"] + 0.005


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_the_shipped_controls_are_as_their_experiment_says():
    attacked, _, _ = shipped("sparse_tickets_controls")
    check_claim([p for p in attacked if p["training"] == "fgsm"])
    assert {p["n_steps"] for p in attacked if p["training"] == "dense control"} == {19 * TWO_CORE_STEPS}
    sparse = [p for p in attacked if density_of(p) < 0.02]
    for name, accuracy in (("one-shot", 0.320), ("random mask", 0.315)):
        found = [p["attacked"]["accuracy"] for p in sparse if p["training"] == name]
        assert np.mean(found) == pytest.approx(accuracy, abs=5e-4)
    for strategy, accuracy in (("end of dense training", 0.868), ("continued", 0.833)):
        assert mean(attacked, strategy, 18) == pytest.approx(accuracy, abs=5e-4)
