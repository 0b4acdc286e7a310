"""Edits of a user's own network, method, criterion, perturbation, attack and data are seen."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # as -import=own_networks.py does

import own_networks as own

import datajuicer as dj
from datajuicer.running.code.provenance import Codes
from jaxrobust import data, networks
from jaxrobust.data.own import registry as datasets
from jaxrobust.networks.own import registry
from jaxrobust.studies.evaluations.mismatch import mismatch_accuracy, perturbed_accuracy
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.methods import METHODS, ParameterAttackTraining, Standard
from jaxrobust.training.schedule import Phases

INPUTS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


def helper(x):
    return x**2


@dataclass(frozen=True)
class Tilt:
    weight: float = 0.1

    def loss(self, objective, parameters, key):
        loss, outputs = objective.loss(parameters, key)
        return loss + self.weight * jnp.mean(helper(outputs.logits)), outputs


@dataclass(frozen=True)
class Absolute:
    is_classification: ClassVar[bool] = False

    def loss(self, outputs, labels):
        return jnp.mean(jnp.abs(outputs - labels))

    def score(self, outputs, labels):
        return -jnp.mean(jnp.abs(outputs - labels), axis=1)


@dataclass(frozen=True)
class Shift:
    by: float = 0.5

    def perturb(self, key, tree):
        return jax.tree.map(lambda leaf: leaf + self.by, tree)


@dataclass(frozen=True)
class Doubling:
    factor: float = 2.0

    def search(self, loss, parameters, key):
        return jax.tree.map(lambda leaf: self.factor * leaf, parameters)


def other(*_, **__):
    """Stands for edited code."""
    return 17


@pytest.fixture(autouse=True)
def _own(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_networks", {})
    monkeypatch.setattr(datasets, "_ids", {})
    monkeypatch.setattr(METHODS, "named", dict(METHODS.named))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def point(network=None, **settings):
    regression = data.register("mine", (INPUTS, INPUTS[:, :2]))
    network = network or networks.register("mine", init=own.init, apply=own.apply)
    settings = {"criterion": Absolute(), "schedule": Phases((1.0,), (1e-3,))} | settings
    return training_point(network, regression, **settings)


def told(function, arguments, monkeypatch, owner, name):
    """Whether an edit is reported for a result that is stored now."""
    record = Codes().of(function, arguments).fields
    assert Codes().changes(function, arguments, record) == ()
    if isinstance(owner, type):
        monkeypatch.setattr(owner, name, other)
    else:
        monkeypatch.setattr(getattr(owner, name), "__code__", other.__code__)
    return bool(Codes().changes(function, arguments, record))


@pytest.mark.parametrize(
    ("make", "owner", "name"),
    [
        ({"init": own.init, "apply": own.apply}, own, "apply"),
        ({"init": own.init, "apply": own.apply}, own, "init"),
        ({"make": own.make_linen, "settings": {"width": 4}}, own, "make_linen"),
        ({"make": own.Block}, own.Block, "__call__"),
        ({"make": own.Equinox}, own.Equinox, "__call__"),
    ],
)
@pytest.mark.parametrize("call", ["training", "evaluation"])
def test_an_edit_of_a_network_is_told(call, make, owner, name, monkeypatch):
    here = point(networks.register("mine", **make))
    function = here["train"] if call == "training" else mismatch_accuracy
    arguments = {"model": here} if call == "training" else {"model": here, "level": 0.1}
    assert told(function, arguments, monkeypatch, owner, name)


@pytest.mark.parametrize(
    ("settings", "owner", "name"),
    [
        ({"method": Tilt()}, Tilt, "loss"),
        ({"method": Tilt()}, sys.modules[__name__], "helper"),
        ({"method": ParameterAttackTraining(Standard(), 0.5, Doubling())}, Doubling, "search"),
        ({}, Absolute, "loss"),
    ],
)
def test_an_edit_of_what_a_training_uses_is_told(settings, owner, name, monkeypatch):
    here = point(**settings)
    assert told(here["train"], {"model": here}, monkeypatch, owner, name)
    assert not told(here["train"], {"model": here}, monkeypatch, Shift, "perturb")


def test_an_edit_of_what_an_evaluation_uses_is_told(monkeypatch):
    here = {"model": point(method=Tilt())}
    assert told(perturbed_accuracy, {**here, "perturbation": Shift()}, monkeypatch, Shift, "perturb")
    assert told(mismatch_accuracy, {**here, "level": 0.1}, monkeypatch, Absolute, "score")
    assert not told(mismatch_accuracy, {**here, "level": 0.1}, monkeypatch, Tilt, "loss")


def test_a_reader_that_gives_other_arrays_gives_other_results():
    def key(inputs):
        datasets._ids.clear()
        here = training_point(
            networks.register("mine", init=own.init, apply=own.apply),
            data.register("mine", (inputs, np.arange(40) % 2)),
            schedule=Phases((1.0,), (1e-3,)),
        )
        return dj.planned([here], "train", "key")("{*}")[0]["key"]

    assert key(INPUTS) == key(INPUTS.copy()) != key(INPUTS + 1)
