"""Controls, cross-task, low-rank, transferred and mismatched stitches: grids, methods, and a small toy."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.attacks.input_attack import fgsm
from jaxrobust.errors import InputError
from jaxrobust.figures.stitching.further import (
    draw_ranks,
    mismatch_measures,
    mismatch_numbers,
    other_task_numbers,
    transfer_numbers,
)
from jaxrobust.figures.stitching.profiles import kind_of
from jaxrobust.figures.stitching.report import write_report
from jaxrobust.networks.mlp import MLP
from jaxrobust.stitching.controls import ShuffledLabels
from jaxrobust.stitching.layers import LowRank
from jaxrobust.stitching.stitched import Cut, Stitched
from jaxrobust.stitching.transferred import TransferredAttacks
from jaxrobust.studies.stitching import protocols, variants
from jaxrobust.studies.stitching.evaluations import other_task_accuracy, transfer_accuracy
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.methods import Batch, Objective, Standard
from jaxrobust.training.schedule import Phases

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEY = jax.random.key(0)
DONOR = MLP(6, (5,), 3)
STITCHED = Stitched(DONOR, DONOR, Cut.at("relu1"))
RNG = np.random.default_rng(0)
BATCH = Batch(jnp.asarray(RNG.standard_normal((8, 6)), jnp.float32), jnp.arange(8) % 3)


# --- grids ---


@pytest.mark.parametrize(
    ("name", "n_donors", "n_stitches"),
    [
        ("stitching_controls", 3, 25),
        ("stitching_tasks", 4, 20),
        ("stitching_low_rank", 2, 22),
        ("stitching_transfer", 2, 40),
        ("stitching_parameters", 3, 30),
    ],
)
def test_the_grids_of_the_experiments(name, n_donors, n_stitches):
    experiment = getattr(importlib.import_module(f"experiments.stitching.{name}"), name)()
    donors = experiment.train_grid()
    stitches = experiment.stitch_grid({"train": donors})
    assert (len(donors), len(stitches)) == (n_donors, n_stitches)
    kinds = {(p["pair"], p["cut"].front, kind_of(p), p["layer"]) for p in stitches}
    assert len(kinds) == n_stitches
    assert len({point["donor"] for point in donors}) == n_donors


def test_the_union_attacks_robust_donors_and_takes_clean_inputs_unless_both_are():
    one, both = (dict(variants.transfer_methods(robust))["union"] for robust in (("end",), ("front", "end")))
    assert (one.sources, one.with_clean) == (("end",), True)
    assert (both.sources, both.with_clean) == (("front", "end"), False)


def test_ranks_stay_below_the_full_one():
    donors = [p for p in protocols.mnist_donors() if p["donor"] in ("N", "R")]
    stitches = variants.low_rank_stitches(donors)
    full = {p["cut"].front: p["ranks"] for p in stitches if p["rank"] == 0}
    assert full == {"relu2": (1, 2, 4, 8), "relu5": (1, 2, 4, 8, 16)}
    assert all(p["layer"] == LowRank(p["rank"]) for p in stitches if p["rank"])


# --- methods ---


def objective():
    variables = STITCHED.init(KEY)
    return Objective(STITCHED, variables.statistics, BATCH), variables.parameters


def shift(loss, inputs, key):
    """An attack that adds the slope of what it is given, so that its source shows."""
    return inputs + jax.grad(lambda x: loss(x).sum())(inputs)


def test_shuffled_labels_are_the_labels_in_another_order():
    seen = []

    class Look:
        def loss(self, objective, parameters, key):
            seen.append(np.asarray(objective.labels))
            return Standard().loss(objective, parameters, key)

    one, parameters = objective()
    for key in jax.random.split(KEY, 3):
        _, outputs = ShuffledLabels(Look()).loss(one, parameters, key)
    assert all(sorted(labels) == sorted(BATCH.labels.tolist()) for labels in seen)
    assert len({tuple(labels) for labels in seen}) == 3
    np.testing.assert_array_equal(outputs.logits, Standard().loss(one, parameters, KEY)[1].logits)


@pytest.mark.parametrize("sources", [("front",), ("end",), ("front", "end")])
@pytest.mark.parametrize("with_clean", [False, True])
def test_the_loss_is_the_sum_over_the_donors_own_attacked_inputs(sources, with_clean):
    one, parameters = objective()
    found, outputs = TransferredAttacks(Standard(), shift, sources, with_clean).loss(one, parameters, KEY)
    clean, expected = Standard().loss(one, parameters, KEY)
    total = clean if with_clean else 0.0
    for source in sources:

        def loss_of_donor(x, source=source):
            logits = DONOR.forward(parameters[source], {}, x).logits
            return one.criterion.loss(logits, BATCH.labels)

        attacked = BATCH.inputs + jax.grad(loss_of_donor)(BATCH.inputs)
        total += Standard().loss(one.with_inputs(attacked), parameters, KEY)[0]
    np.testing.assert_allclose(found, total, rtol=1e-6)
    np.testing.assert_array_equal(outputs.logits, expected.logits)


def test_sources_and_networks_that_do_not_exist_are_refused():
    for sources in ((), ("stitch",), ("end", "end")):
        with pytest.raises(InputError, match=r"sources are|named once"):
            TransferredAttacks(Standard(), shift, sources)
    variables = DONOR.init(KEY)
    with pytest.raises(InputError, match="the network is a MLP"):
        TransferredAttacks(Standard(), shift).loss(
            Objective(DONOR, variables.statistics, BATCH), variables.parameters, KEY
        )


# --- a toy of seconds: the whole way of stitching_parameters ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three donors with one cut, their stitches, evaluated clean, attacked and under mismatch."""
    how = {"cache_dir": str(tmp_path_factory.mktemp("variants") / "sessions"), "progress": False}
    schedule = Phases((1.0,), (1e-2,))
    clean = training_point(MLP(784, (6,), 10), "digits_28x28", schedule=schedule, batch_size=50, keep="last")
    robust = {**clean, "method": variants.PARAMETER_TRAINING}
    named = {"N": clean, "N'": {**clean, "seed": 1}, "P": robust}
    donors = [{**point, "donor": name, "repeat": 0} for name, point in named.items()]
    donors = dj.run(donors, "train", store_key="*", **how)("{*}")
    stitches = [point for point in variants.parameter_stitches(donors) if "P" in point["pair"]]
    stitches = dj.planned(stitches, "stitch", "trained", how["cache_dir"])("{*}")
    stitches = dj.run(stitches, "stitch", store_key="*", **how)("{*}")
    points = protocols.evaluate([*donors, *stitches], (fgsm(0.05),), 100, **how)
    return variants.evaluate_mismatch(points, 2, 100, **how), how


@pytest.mark.slow
def test_every_point_has_devices_at_every_level(finished):
    points, _ = finished
    assert len(points) == 3 + 4
    for point in points:
        assert tuple(point["mismatch"]) == variants.MISMATCH_LEVELS
        assert point["mismatch"][0.0] == [pytest.approx(point["accuracy"]["clean"])]
        assert all(len(devices) == 2 for level, devices in point["mismatch"].items() if level)


@pytest.mark.slow
def test_one_figure_holds_clean_and_mismatched_accuracy(finished, tmp_path):
    points, _ = finished
    numbers = mismatch_numbers(points)
    paths = write_report(points, tmp_path, "parameters", mismatch_measures(points), numbers)
    assert {path.name for path in paths} >= {"parameters.png", "parameters.html", "parameters_further.csv"}
    assert "Under mismatch" in (tmp_path / "parameters.md").read_text()
    assert len(numbers.records) == 7 * (1 + 3 * 2)
    assert "P: under attack on the parameters" in (tmp_path / "parameters.txt").read_text()


@pytest.mark.slow
def test_other_tasks_transfer_and_truncation_on_the_toy(finished, tmp_path):
    points, how = finished
    stitch = next(p for p in points if "cut" in p and kind_of(p) == "trained")
    other = other_task_accuracy(stitch, "digits_28x28", (fgsm(0.05),), n_samples=100)
    assert other["clean"] == stitch["accuracy"]["clean"]
    point = {**stitch, "other": other, "other_task": "digits_28x28"}
    point["transfer"] = transfer_accuracy(stitch, fgsm(0.05), n_samples=100)
    assert other_task_numbers([point]).records[0]["clean"] == other["clean"]
    assert len(transfer_numbers([point]).records) == 9
    full = {**stitch, "rank": 0, "ranks": (1, 3)}
    done = variants.evaluate_truncated([full], (fgsm(0.05),), 100, **how)
    assert [row["rank"] for row in done[0]["truncated"]] == [1, 3]
    assert (tmp_path / "ranks.csv") in draw_ranks(done, tmp_path, "ranks")
    assert len((tmp_path / "ranks.csv").read_text().splitlines()) == 1 + 3
    with pytest.raises(InputError, match="No point has 'truncated'"):
        draw_ranks([stitch], tmp_path, "none")
