"""Plans of executions: the published tables, and the cheapest plan for a target."""

import math

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.measures.executions import SCALINGS, apportion, plan_executions, scaling_weights
from jaxrobust.measures.midpoint import Midpoint
from jaxrobust.measures.noise_budget import cheapest_plan, predicted_accuracy

# Published midpoints (inference only) of LeNet-5 with batch normalization on CIFAR-10, and of the MLP
# without on MNIST.
LENET = (
    *(0.499, 0.843, 0.612, 0.541, 0.591, 1.461, 0.599, 0.387),
    *(1.074, 4.577, 1.138, 0.835, 2.303, 2.280, 1.599, 4.402),
)
MLP = (0.504, 3.121, 2.328, 6.877, 5.627, 18.05, 16.87, 36.74)
ROWS = [
    (LENET, 20, "inverse_lin", (35, 21, 29, 32, 30, 12, 29, 45, 16, 4, 15, 21, 8, 8, 11, 4)),
    (LENET, 20, "log10", (40, 24, 34, 38, 35, 6, 34, 48, 16, 1, 14, 24, 1, 1, 3, 1)),
    (LENET, 20, "sqrt", (25, 23, 24, 25, 25, 19, 24, 26, 21, 8, 21, 23, 15, 15, 18, 8)),
    (LENET, 2, "inverse_square", (4, 1, 3, 3, 3, 1, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1)),
    (MLP, 20, "inverse_lin", (99, 16, 22, 7, 9, 3, 3, 1)),
    (MLP, 20, "log10", (59, 29, 34, 16, 19, 1, 1, 1)),
    (MLP, 20, "sqrt", (31, 26, 27, 22, 23, 13, 14, 4)),
]


def named(mu):
    return {f"layer{i}": value for i, value in enumerate(mu)}


@pytest.mark.parametrize(("mu", "mean", "scaling", "published"), ROWS)
def test_plans_are_the_published_ones_or_one_execution_moved(mu, mean, scaling, published):
    ours = np.array(list(plan_executions(named(mu), mean, scaling).values()))
    assert np.abs(ours - np.array(published)).sum() <= 2


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("mean", [2, 3, 5, 7, 10, 20])
def test_budgets_are_kept(scaling, mean):
    for mu in (LENET, MLP):
        counts = list(plan_executions(named(mu), mean, scaling).values())
        assert sum(counts) == mean * len(mu)
        assert min(counts) >= 1


def test_ranks_are_correct_by_default_and_published_by_name():
    mu = np.array(LENET)
    correct = [15, 9, 11, 14, 13, 6, 12, 16, 8, 1, 7, 10, 3, 4, 5, 2]
    published = [9, 16, 13, 12, 10, 14, 5, 15, 8, 6, 11, 2, 3, 4, 1, 7]
    assert scaling_weights(mu, "layer_sort").tolist() == correct
    assert scaling_weights(mu, "layer_sort", ranks="published").tolist() == published
    ours, theirs = (scaling_weights(np.array(MLP), "layer_sort", ranks=r) for r in ("correct", "published"))
    assert ours.tolist() == theirs.tolist()  # its order is its own inverse
    assert scaling_weights(mu[:5], "layer_sort_bins_of_two").tolist() == [3, 1, 2, 3, 2]
    inverse = scaling_weights(mu[:4], "layer_sort_inverse_bins_of_three")
    assert inverse.tolist() == [1, 0.5, 1, 1]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: plan_executions({"a": 1.0}, 2, "lin"), "no scaling 'lin'"),  # type: ignore[arg-type]
        (lambda: plan_executions({"a": math.inf}, 2), "finite and above 0"),
        (lambda: plan_executions(named(MLP), 0.5), "the budget is 4"),
        (lambda: apportion([0.0, 0.0], 4), "not sum up to 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def midpoint(value, slope=4.0):
    return Midpoint(value, math.nan, math.nan, "no", slope, 0.97, 0.1, True)


MIDPOINTS = {name: midpoint(mu) for name, mu in named(MLP).items()}


def test_one_noisy_position_is_predicted_as_measured():
    assert predicted_accuracy(MIDPOINTS, {"layer0": 0.504}) == pytest.approx((0.97 + 0.1) / 2)
    four = predicted_accuracy(MIDPOINTS, {"layer0": 1.008}, {"layer0": 4})
    assert four == pytest.approx((0.97 + 0.1) / 2)


def test_noise_everywhere_has_the_published_midpoint():
    """From the layers' midpoints follows 0.483 for noise at all positions; published is 0.471."""
    ours = sum(mu**-2.0 for mu in MLP) ** -0.5
    assert ours == pytest.approx(0.471, rel=0.05)
    assert predicted_accuracy(MIDPOINTS, dict.fromkeys(MIDPOINTS, ours)) == pytest.approx(0.535)


def test_the_cheapest_plan_is_cheapest():
    stds = {"layer0": 0.4, "layer1": 1.5, "layer2": 0.9}
    plan = cheapest_plan(MIDPOINTS, stds, 0.8)
    assert plan.predicted >= 0.8
    assert plan.cost == sum(plan.executions.values())
    total, best = int(plan.cost) - 1, None
    for n0 in range(1, total):
        for n1 in range(1, total):
            for n2 in range(1, total):
                if n0 + n1 + n2 >= (best or plan.cost + 1):
                    break
                if predicted_accuracy(MIDPOINTS, stds, {"layer0": n0, "layer1": n1, "layer2": n2}) >= 0.8:
                    best = n0 + n1 + n2
    assert best == plan.cost


def test_costs_move_executions_to_cheap_positions():
    stds = {"layer0": 0.4, "layer2": 1.8}
    even, dear = (cheapest_plan(MIDPOINTS, stds, 0.9, costs=c) for c in (None, {"layer0": 20.0}))
    assert dear.executions["layer0"] < even.executions["layer0"]
    assert dear.executions["layer2"] > even.executions["layer2"]


def test_simulation_corrects_the_prediction():
    stds = {"layer0": 0.4, "layer1": 1.5}

    def simulate(executions):  # the network is worse than predicted
        return predicted_accuracy(MIDPOINTS, {name: 1.3 * std for name, std in stds.items()}, executions)

    plan = cheapest_plan(MIDPOINTS, stds, 0.9, simulate=simulate)
    assert plan.simulated >= 0.9
    assert plan.simulated < 0.93
    assert plan.cost > cheapest_plan(MIDPOINTS, stds, 0.9).cost


@pytest.mark.parametrize(
    ("stds", "target", "sentence"),
    [
        ({"layer9": 1.0}, 0.9, "'layer9' has noise but no midpoint"),
        ({"layer0": 1.0}, 0.98, "no number of executions reaches it"),
        ({"layer0": -1.0}, 0.9, "not negative"),
        ({"layer0": 1e4}, 0.9699, "executions would be needed"),
    ],
)
def test_impossible_targets_are_refused(stds, target, sentence):
    with pytest.raises(InputError, match=sentence):
        cheapest_plan(MIDPOINTS, stds, target)
