"""Which edits of the library are told about stored trainings and evaluations, and which are not."""

import importlib
from dataclasses import dataclass
from types import FunctionType

import jax
import pytest

import datajuicer as dj
import jaxrobust.attacks.robust_loss
import jaxrobust.layers.adaptive_neurons
import jaxrobust.measures.mismatch
import jaxrobust.training.checkpoints
import jaxrobust.training.loop
from datajuicer.running.code.provenance import Codes
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.data.ecg import generated_ecg
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy, perturbed_accuracy
from jaxrobust.studies.parameter_noise.catalogue import cnn, ecg_lsnn
from jaxrobust.studies.sources import WITHIN
from jaxrobust.training.methods.parameter_attack import ParameterAttackTraining
from jaxrobust.training.methods.sharpness_aware import SharpnessAware
from jaxrobust.training.optimizers.adam import Adam
from jaxrobust.training.optimizers.sgd import SGD

POINT = ecg_lsnn.make() | {"dataset": "generated_ecg", "beta_robustness": 0.25}


def training(point=POINT):
    return point["train"], {"model": point}


def evaluation(**arguments):
    return mismatch_accuracy, {"model": POINT, "level": 0.1, **arguments}


def changes_after(function, arguments, patch):
    """What the report of an edit names for a result that is stored now."""
    record = Codes().of(function, arguments).fields
    assert Codes().changes(function, arguments, record) == ()
    patch()
    return Codes().changes(function, arguments, record)


def other(*_, **__):
    """Stands for edited code."""
    return 17


def edit(monkeypatch, owner, name):
    value = getattr(owner, name)
    if isinstance(owner, type):
        monkeypatch.setattr(owner, name, other)
    elif isinstance(value, FunctionType):
        monkeypatch.setattr(value, "__code__", other.__code__)
    else:
        monkeypatch.setattr(owner, name, 99)


def test_every_room_that_counts_is_there():
    for name in WITHIN:
        importlib.import_module(name)


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        (LSNN, "init", "LSNN"),
        (ParameterAttackTraining, "loss", "ParameterAttackTraining"),
        (ParameterAttack, "__post_init__", "ParameterAttack"),
        (Adam, "step", "Adam"),
        (jaxrobust.attacks.robust_loss, "robust_loss", "robust_loss"),
        (jaxrobust.layers.adaptive_neurons, "at_rest", "at_rest"),
        (jaxrobust.training.loop, "_block_inputs", "_block_inputs"),
        (jaxrobust.training.loop, "MAX_BLOCK", "MAX_BLOCK"),
        (generated_ecg, "build", "build"),
    ],
)
def test_an_edit_of_what_a_training_uses_is_told(owner, name, told, monkeypatch):
    assert told in changes_after(*training(), lambda: edit(monkeypatch, owner, name))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (CNN, "init"),
        (SGD, "step"),
        (SharpnessAware, "loss"),
        (jaxrobust.training.checkpoints, "save_tree"),
        (jaxrobust.measures.mismatch, "perturbed_accuracies"),
        (GaussianMismatch, "perturb"),
    ],
)
def test_an_edit_of_what_a_training_does_not_use_is_not_told(owner, name, monkeypatch):
    assert changes_after(*training(), lambda: edit(monkeypatch, owner, name)) == ()


def test_settings_that_name_other_classes_make_other_code_count():
    def names(**settings):
        return set(Codes().of(*training(POINT | settings)).parts)

    assert "SharpnessAware" in names(beta_robustness=0.0, sam_rho=0.1)
    assert "SharpnessAware" not in names()
    assert "SGD" in names(optimizer="sgd")
    assert "LSNN" not in set(Codes().of(*training(cnn.make())).parts)


@pytest.mark.parametrize(
    ("owner", "name", "is_told"),
    [
        (LSNN, "forward", True),
        (jaxrobust.measures.mismatch, "perturbed_devices", True),
        (GaussianMismatch, "perturb", True),
        (Adam, "step", False),
        (jaxrobust.training.loop, "_block_inputs", False),
    ],
)
def test_an_evaluation_counts_itself_its_network_and_its_perturbation(owner, name, is_told, monkeypatch):
    changed = changes_after(*evaluation(), lambda: edit(monkeypatch, owner, name))
    assert bool(changed) == is_told


def test_a_perturbation_from_outside_of_the_package_counts(monkeypatch):
    @dataclass(frozen=True)
    class Mine:
        size: float

        def perturb(self, key, tree):
            return jax.tree.map(lambda p: p * self.size, tree)

    arguments = {"model": POINT, "perturbation": Mine(2.0)}
    changed = changes_after(
        perturbed_accuracy, arguments, lambda: monkeypatch.setattr(Mine, "perturb", other)
    )
    assert changed == ("test_a_perturbation_from_outside_of_the_package_counts.Mine",)


@pytest.mark.parametrize("call", [training, evaluation])
def test_a_record_from_before_is_a_silent_hit_made_by_earlier_code(call):
    function, arguments = call()
    shipped = {"code": "405b52701ce7846e9e72"}
    assert Codes().changes(function, arguments, shipped) == ()
    assert Codes().is_earlier(function, arguments, shipped)


def test_every_part_of_a_training_has_its_source():
    parts = Codes().of(*training()).parts
    assert [name for name, part in parts.items() if part.digest.source is None] == []
    assert len(parts) < 300


def test_settings_that_are_not_valid_do_not_stop_a_plan():
    bad = POINT | {"optimizer": "no such", "beta_robustness": -1.0}
    assert "train" in Codes().of(*training(bad)).parts
    assert dj.missing([bad], "train", "nowhere")("{*}")
