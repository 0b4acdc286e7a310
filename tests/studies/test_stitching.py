"""The stitching study end to end on tiny networks and the built-in digits: points, keys, measures, figure."""

import jax
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.attacks.input_attack import fgsm, pgd
from jaxrobust.errors import InputError
from jaxrobust.figures.stitching.profiles import draw_profiles, kind_of
from jaxrobust.figures.stitching.report import write_report
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.stitching.layers import LowRank, Pointwise
from jaxrobust.stitching.objectives import StitchPenalty
from jaxrobust.stitching.rank import truncated
from jaxrobust.stitching.stitched import Cut
from jaxrobust.studies.stages import Stage, plan_stages
from jaxrobust.studies.stitching import protocols
from jaxrobust.studies.stitching.evaluations import (
    attacked_accuracy,
    low_rank_accuracy,
    stitch_mismatch,
    stitch_similarity,
    transfer_accuracy,
)
from jaxrobust.studies.stitching.points import (
    STITCH,
    load_stitched,
    match_point,
    match_stitch,
    stitch_point,
    stitched_of,
    train_stitch,
)
from jaxrobust.studies.training_points import load_variables, training_point
from jaxrobust.training.methods import AttackedSamples, Standard
from jaxrobust.training.schedule import Phases

DONOR = MLP(784, (6, 5), 10)
CUT = Cut.at("relu1")
SHORT = {"schedule": Phases((2.0,), (1e-2,)), "batch_size": 50}
ATTACKS = (fgsm(0.05),)


def donor(seed, name, **changed):
    point = training_point(DONOR, "digits_28x28", seed=seed, eval_step_interval=20, **SHORT, **changed)
    return {**point, "donor": name, "repeat": 0}


def stitches(points):
    front, end = points["train"]
    named = {"pair": "N→N'", "repeat": 0}
    return [
        {**stitch_point(front, end, CUT, **SHORT), **named},
        {**match_point(front, end, CUT, n_match=300), **named},
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two donors, a trained and a matched stitch, evaluated; and where they are stored."""
    store = str(tmp_path_factory.mktemp("stitching") / "sessions")
    how = {"cache_dir": store, "progress": False}
    stages = (Stage("train", lambda points: [], "train"), Stage("stitch", stitches, "stitch"))
    planned = plan_stages(stages, [donor(0, "N"), donor(1, "N'")], sessions=store)
    points = []
    for one in planned:
        keyed = dj.planned(one.grid, one.stage.compute, "trained", store)("{*}")
        points += dj.run(keyed, one.stage.compute, store_key="*", **how)("{*}")
    evaluated = protocols.evaluate(points, ATTACKS, 200, **how)
    donors = {point["donor"]: point for point in evaluated if "donor" in point}
    joined = {"front": donors["N"], "end": donors["N'"]}  # with their results, to call evaluations directly
    return [{**point, **joined} if "cut" in point else point for point in evaluated], planned, how


@pytest.mark.slow
def test_a_rerun_computes_nothing_and_a_new_cut_only_itself(finished):
    _, planned, how = finished
    assert all(not dj.missing(p.grid, p.stage.compute, how["cache_dir"])("{*}") for p in planned)
    front, end = (point for point in planned[1].grid[:1] for point in (point["front"], point["end"]))
    grid = [*planned[1].grid, match_point(front, end, Cut.at("relu2"), n_match=300)]
    assert len(dj.missing(grid, "stitch", how["cache_dir"])("{*}")) == 1


@pytest.mark.slow
def test_stitches_share_the_donors_parameters_bit_for_bit(finished):
    points, *_ = finished
    for point in points:
        if "cut" in point:
            _, variables, inputs, labels = load_stitched(point, n_samples=50)
            own = load_variables(point["end"], stitched_of(point).end)
            jax.tree.map(np.testing.assert_array_equal, variables.parameters["end"], own.parameters)
            assert len(inputs) == len(labels) == 50
            assert point[STITCH].path().stat().st_size < 2000


@pytest.mark.slow
def test_what_is_measured_holds_together(finished):
    points, *_ = finished
    for point in points:
        accuracy = point["accuracy"]
        assert accuracy["all"] <= min(accuracy["each"]) <= accuracy["clean"]
        assert accuracy["n"] == 200
        if "cut" in point:
            alike = point["similarity"]
            assert sum(alike["hits"]) == 200
            assert np.isclose(
                alike["relative_accuracy"] * (alike["hits"][0] + alike["hits"][2]),
                alike["hits"][0] + alike["hits"][1],
            )
    trained, matched = (p for p in points if "cut" in p)
    assert trained["similarity"]["distance"] > 1.5 * matched["similarity"]["distance"]


@pytest.mark.slow
def test_transfer_rank_and_mismatch(finished):
    points, *_ = finished
    trained = next(p for p in points if "cut" in p and kind_of(p) == "trained")
    table = transfer_accuracy(trained, ATTACKS[0], n_samples=200)
    assert np.isclose(table["stitch"]["stitch"], trained["accuracy"]["each"][0])
    assert table["front"]["stitch"] >= table["stitch"]["stitch"] - 0.02
    rows = low_rank_accuracy(trained, (6, 1), n_samples=200)
    assert rows[0]["clean"] == trained["accuracy"]["clean"]
    network, variables, inputs, labels = load_stitched(trained, n_samples=200)
    low = {**variables.parameters, "stitch": truncated(variables.parameters["stitch"], 1)}
    answers = network.forward(low, variables.statistics, inputs).logits.argmax(-1)
    assert np.isclose(rows[1]["clean"], np.mean(answers == labels))
    assert len(stitch_mismatch(trained, GaussianMismatch(0.1), n_draws=2, n_samples=100)) == 2


@pytest.mark.slow
def test_the_figure_and_its_tables(finished, tmp_path):
    paths = draw_profiles(finished[0], tmp_path, "profiles")
    assert {path.suffix for path in paths} == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}
    rows = (tmp_path / "profiles.csv").read_text().splitlines()
    assert len(rows) == 3
    assert rows[0].startswith("pair,front_cut,end_cut,stitch,repeat,clean,robust")
    with pytest.raises(InputError, match="needs stitched points"):
        draw_profiles([p for p in finished[0] if "cut" not in p], tmp_path, "none")


@pytest.mark.slow
def test_the_report_is_one_page_with_both_pictures_and_the_tables(finished, tmp_path):
    paths = write_report(finished[0], tmp_path, "report")
    assert {path.name for path in paths} >= {"report.html", "report.png", "report.csv", "report_kernels.png"}
    page = (tmp_path / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 2
    assert "<td>closed form</td>" in page
    assert 'src="http' not in page
    trained = next(p for p in finished[0] if "cut" in p and kind_of(p) == "trained")
    assert trained["kernel"]["shape"] == [6, 6]
    assert np.shape(trained["kernel"]["entries"]) == (6, 6)


def test_the_toy_grid_is_three_donors_and_as_many_stitches_as_published():
    donors = protocols.mnist_donors()
    assert len(donors) == 3
    attacked = AttackedSamples(Standard(), protocols.MNIST_ATTACK, share=0.5)
    trained = protocols.mnist_stitches(donors) + protocols.mnist_stitches(donors, attacked, 150)
    assert len(trained) == 30
    assert len(protocols.mnist_matches(donors)) == 15
    keys = [dj.planned([p], "stitch", "key")("{*}")[0]["key"] for p in trained]
    assert len(set(keys)) == 30


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cut": Cut("relu1", "relu2")}, None),
        ({"cut": Cut.at("relu7")}, "no position 'relu7'"),
        ({"mask": "semi_match"}, "needs a masked layer"),
        ({"layer": Pointwise(masked=True)}, "needs a masked layer"),
        ({"layer": Pointwise("identity"), "cut": Cut("relu1", "relu2")}, "as many channels"),
        ({"layer": LowRank(9)}, "rank 6 at most"),
        ({"start": "ps_inv"}, "least_squares"),
        ({"n_match": 0}, "at least 1"),
    ],
)
def test_bad_stitches_are_refused_while_planning(changed, says):
    settings = {"cut": CUT, **changed}
    make = lambda: stitch_point(donor(0, "N"), donor(1, "N'"), settings.pop("cut"), **settings)  # noqa: E731
    if says is None:
        assert make()["stitch"] is train_stitch
    else:
        with pytest.raises(InputError, match=says):
            make()


def test_every_setting_of_a_stitch_is_part_of_its_key():
    front, end = donor(0, "N"), donor(1, "N'")
    changes = [
        {},
        {"start": "least_squares"},
        {"mask": "hungarian", "layer": Pointwise(masked=True)},
        {"donors": "adapting"},
        {"method": AttackedSamples(Standard(), pgd(0.1), 0.5)},
        {"method": StitchPenalty(Standard(), l1=0.1)},
        {"seed": 1},
        {"batch_size": 3},
    ]
    points = [stitch_point(front, end, CUT, **change) for change in changes]
    points.append({**points[0], "front": end, "end": front})
    keys = {dj.planned([p], "stitch", "key")("{*}")[0]["key"] for p in points}
    assert len(keys) == len(points)
    assert match_stitch.table_name == "match_stitch"
    assert attacked_accuracy.table_name == "attacked_accuracy"
    assert stitch_similarity.table_name == "stitch_similarity"
