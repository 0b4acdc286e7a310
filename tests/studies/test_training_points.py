"""Typed grid points: trained, evaluated, fine-tuned and kept under keys of all their settings."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest
from flax import linen as nn

import datajuicer as dj
from datajuicer.running.code.provenance import Codes
from jaxrobust import data
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.errors import InputError
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy
from jaxrobust.studies.evaluations.trained import load_trained
from jaxrobust.studies.training_points import check_point, load_variables, train, training_point
from jaxrobust.training.methods import ParameterAttackTraining, Standard
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Seeds

SHORT = {"schedule": Phases((0.3,), (1e-2,)), "batch_size": 50, "eval_step_interval": 4}


@dataclass(frozen=True)
class OneLayer:
    """Becomes an MLP once the data are known."""

    n_hidden: int = 4

    def build(self, shape, n_classes):
        return MLP(int(np.prod(shape)), (self.n_hidden,), n_classes)


class Small(nn.Module):
    """A Linen module with running statistics."""

    width: int = 4

    @nn.compact
    def __call__(self, x, *, training):
        x = nn.Dense(self.width)(x.reshape(len(x), -1))
        return nn.Dense(10)(nn.BatchNorm(use_running_average=not training)(nn.relu(x)))


def point(**changed):
    return training_point(**{"network": OneLayer(), "dataset": "digits_28x28", **SHORT, **changed})


def trained(store, *points):
    return dj.run(list(points), "train", store_key="*", cache_dir=store, progress=False)("{*}")


def same(one, other):
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def test_points_are_trained_evaluated_and_found_again(tmp_path):
    robust = ParameterAttackTraining(Standard(), beta=0.1, attack=ParameterAttack(0.1, 0.0, 1))
    linen = LinenNetwork(Small(), (28, 28, 1))
    points = trained(tmp_path, point(), point(method=robust), point(network=linen, seed=1))
    accuracies = dj.run(points, mismatch_accuracy, cache_dir=tmp_path, progress=False)("{*}", 0.2, 3)
    assert np.shape(accuracies) == (3, 3)
    records = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    again = trained(tmp_path, point(), point(method=robust), point(network=linen, seed=1))
    assert [p["trained"] for p in again] == [p["trained"] for p in points]
    assert len({p["trained"] for p in points}) == 3
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == records
    network, variables, inputs, labels = load_trained(again[2], n_samples=20)
    assert jax.tree.leaves(variables.statistics)
    assert network.forward(*variables, inputs).logits.shape == (20, 10)
    assert labels.shape == (20,)


def test_a_training_starts_from_another_and_from_a_step_of_it(tmp_path):
    (first,) = dj.planned([point(keep_steps=(0, 3))], train)("{*}")
    frozen = {"schedule": Phases((0.05,), (0.0,)), "keep": "last"}
    (parent,) = trained(tmp_path, point(keep_steps=(0, 3)))
    from_end, from_start = trained(
        tmp_path, point(start=first, **frozen), point(start=first, start_step=0, **frozen)
    )
    network, *_ = load_trained(parent)
    assert same(load_variables(from_end, network), load_variables(parent, network))
    fresh = network.init(jax.random.split(jax.random.key(0))[0])
    assert same(load_variables(from_start, network), fresh)
    assert not same(load_variables(parent, network, step=3), fresh)
    with pytest.raises(InputError, match=r"kept the steps 0, 3, but not 7"):
        load_variables(parent, network, step=7)


def test_other_values_are_other_keys_and_a_folder_of_data_is_not():
    points = [
        point(), point(network=OneLayer(5)), point(seeds=Seeds(order=3)), point(keep="last"),
        *(point(network=LinenNetwork(Small(width), (28, 28, 1))) for width in (4, 5)),
    ]  # fmt: skip
    keys = [p["trained"] for p in dj.planned(points, train, "trained")("{*}")]
    assert len(set(keys)) == len(points)
    (elsewhere,) = dj.planned([point(data_folder="/elsewhere")], train, "trained")("{*}")
    assert elsewhere["trained"] == keys[0]


def test_points_that_start_from_a_finished_one_share_a_program(tmp_path):
    (parent,) = trained(tmp_path, point())
    first, second = (point(start=parent, seed=seed, **{"schedule": SHORT["schedule"]}) for seed in (0, 1))
    parent["parameters"].path().unlink()  # programs are compared without weights
    assert train.group is not None
    assert train.group(first) == train.group(second)


@dataclass(frozen=True)
class KnowsShapes(OneLayer):
    """Asks for the shape of data by name, which leads to the table of all data sets."""

    def positions_on(self, name):
        return self.build(data.blank(name).train.inputs.shape[1:], 10).positions


def test_a_network_that_asks_for_shapes_depends_on_no_other_reader():
    code = Codes().of(train, {"model": point(network=KnowsShapes())})
    assert "KnowsShapes" in code.parts
    assert "_capped" not in code.parts  # of the heartbeats
    assert "enlarge" in code.parts  # of the digits


def test_points_of_one_structure_share_a_program():
    group = train.group
    assert group is not None
    assert group(point()) == group(point(seed=3)) != group(point(network=OneLayer(5)))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"network": OneLayer}, "network must be an object such as"),
        ({"method": "beta"}, r"method must be an object such as Standard\(\), not 'beta'"),
        ({"schedule": 5}, "schedule must be an object"),
        ({"dataset": "digts"}, "There is no data set 'digts'"),
        ({"start": 3}, "start must be an earlier grid point or None, not int"),
        ({"start": {"keep_steps": (1,)}, "start_step": 2}, r"the start keeps \(1,\) steps"),
    ],
)
def test_a_wrong_setting_is_one_sentence(changed, says):
    with pytest.raises(InputError, match=says):
        point(**changed)


def test_a_point_without_a_setting_says_which():
    with pytest.raises(InputError, match=r"lacks schedule, probes; make it with training_point"):
        check_point({name: value for name, value in point().items() if name not in ("schedule", "probes")})
