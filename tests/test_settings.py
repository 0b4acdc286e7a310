"""What a grid point may hold, said in one sentence before any data are touched or anything is computed."""

import subprocess
import sys
from typing import get_args

import pytest

from jaxrobust.attacks.ascent import Keep
from jaxrobust.attacks.parameter_attack import Norm
from jaxrobust.attacks.robust_loss import BOUNDARY_LOSSES
from jaxrobust.errors import InputError
from jaxrobust.layers.dropout import DropoutMask
from jaxrobust.networks.cnn import Normalization
from jaxrobust.networks.lsnn import NEURON_PARAMETERS, Precision
from jaxrobust.networks.mlp import Start
from jaxrobust.perturbations.mismatch import NOISE_MODES
from jaxrobust.settings import Finite, OneOf, Setting, check_values
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, digits_mlp, ecg_lsnn, family_named
from jaxrobust.studies.parameter_noise.family_words import FAMILY_WORDS
from jaxrobust.studies.parameter_noise.flat_words import configured
from jaxrobust.studies.parameter_noise.recipes import method_of
from jaxrobust.training.augmentation import AUGMENTATIONS
from jaxrobust.training.methods import AdversarialWeights, FiringRates, GradientDifference
from jaxrobust.training.optimizers import OPTIMIZERS


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXROBUST_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def check(words: str) -> None:
    """Check the model that `train.py -arch=` with these words would train."""
    name, *settings = words.split()
    configured([family_named(name).make()], dict(word.removeprefix("-").split("=", 1) for word in settings))


@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_are_allowed(name):
    FAMILIES[name].check(FAMILIES[name].make())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("digits_mlp -n_epochs=nan,1", "each of n_epochs must be finite and above 0, not nan"),
        ("digits_mlp -n_epochs=inf,1", "each of n_epochs must be finite and above 0, not inf"),
        ("digits_mlp -n_epochs=1,-1", "each of n_epochs must be finite and above 0, not -1"),
        ("digits_mlp -learning_rate=nan,1", "each of learning_rate must be finite and at least 0, not nan"),
        ("digits_mlp -seed=-1", "seed must be finite and at least 0, not -1"),
        ("digits_mlp -batch_size=0", "batch_size must be finite and at least 1, not 0"),
        ("digits_mlp -n_hidden=", "n_hidden must hold at least one item, such as -n_hidden=64,64"),
        ("digits_mlp -n_hidden=64,0", "each of n_hidden must be finite and at least 1, not 0"),
        ("digits_mlp -dropout_prob=1", "dropout_prob must be finite and at least 0 and below 1, not 1.0"),
        ("digits_mlp -dropout_prob=nan", "dropout_prob must be finite and at least 0 and below 1, not nan"),
        ("digits_mlp -abcd_L=0", "abcd_L must be finite and at least 1, not 0"),
        ("digits_mlp -n_attack_steps=-1", "n_attack_steps must be finite and at least 1, not -1"),
        ("digits_mlp -attack_size_mismatch=nan", "attack_size_mismatch must be finite and at least 0, not n"),
        ("digits_mlp -initial_std_mismatch=-1", "initial_std_mismatch must be finite and at least 0, not -1"),
        ("digits_mlp -noisy_forward_std=nan", "noisy_forward_std must be finite and at least 0, not nan"),
        ("digits_mlp -optimizer=adm", "optimizer must be one of .*, not 'adm'. Did you mean 'adam'"),
        ("digits_mlp -augmentation=flop", "augmentation must be one of none, "),
        ("digits_mlp -augmentation=time_shift", "augmentation=time_shift is for sequences only"),
        ("digits_mlp -noisy_forward_mode=both", "noisy_forward_mode must be one of ind, range, not 'both'"),
        ("digits_mlp -noisy_forward_params=w[", r"noisy_forward_params='w\[': .* not a regular expression"),
        ("digits_mlp -noisy_forward_params=w_rec", "noisy_forward_params='w_rec': .* fits no parameter"),
        ("digits_mlp -l2_weight_decay_params=w1,k1", "l2_weight_decay_params=.* 'k1' fits no parameter"),
        ("digits_mlp -attack_factors=k1=0,.*=1", "attack_factors=.* 'k1' fits no parameter"),
        ("digits_mlp -dataset=mitdb -split=patients", "digits_mlp learns images, but .* mitdb holds seque"),
        ("digits_mlp -dataset=mitd", "no data set 'mitd': did you mean 'mitdb'"),
        ("digits_mlp -split=published", "digits has no split 'published'"),
        ("ecg_lsnn -dataset=digits -split=", "ecg_lsnn learns sequences, but the data set digits holds im"),
        ("cnn -dataset=digits -split=", "8x8 pixels are too small"),
        ("ecg_lsnn -n_hidden=0", "n_hidden must be finite and at least 1, not 0"),
        ("ecg_lsnn -dt=0", "dt must be finite and above 0, not 0"),
        ("ecg_lsnn -tau=nan", "tau must be finite and above 0, not nan"),
        ("ecg_lsnn -tau_adaptation=-1", "tau_adaptation must be finite and above 0, not -1"),
        ("ecg_lsnn -thr=0", "thr must be finite and above 0, not 0"),
        ("ecg_lsnn -beta=nan", "beta must be finite, not nan"),
        ("ecg_lsnn -refr=-1", "refr must be finite and at least 0, not -1"),
        ("ecg_lsnn -precision=float16", "precision must be one of float32, bfloat16, not 'float16'"),
        ("ecg_lsnn -neuron_parameters=tau,rho", "each of neuron_parameters must be one of .*, not 'rho'"),
        ("ecg_lsnn -neuron_parameters=tau -contractive=1", "contractive takes second derivatives"),
        ("ecg_lsnn -neuron_parameters=tau -hessian_robustness=1", "hessian_robustness takes second deriv"),
        ("resnet32 -dropout_prob=0.5", "dropout_prob must be 0.0, as resnet32 has no dropout, not 0.5"),
        (
            "digits_mlp -eps_pga=0.1",
            "eps_pga=0.1 is the size of AWP's attack on the inputs, but awp is false",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(words, says):
    with pytest.raises(InputError, match=says):
        check(words)


@pytest.mark.parametrize(
    "words",
    [
        "ecg_lsnn -beta=-0.5 -neuron_parameters=tau,thr -refr=0",
        "ecg_lsnn -noisy_forward_params=w_.* -attack_factors=w_rec=0,.*=1 -augmentation=time_shift",
        "resnet32 -noisy_forward_params=stem/.* -n_blocks=1",
        "ecg_lsnn -neuron_parameters=tau -hessian_robustness=1 -beta_robustness=0",
        "ecg_lsnn -contractive=1",
        "mnist_mlp -n_hidden=8 -l2_weight_decay_params=w1,w2",
        "digits_mlp -warmup=3 -beta_robustness=0 -attack_size_constant=0.1",
        "digits_mlp -awp=1 -eps_pga=0.1 -beta_robustness=0",
    ],
)
def test_what_can_be_trained_is_not(words):
    check(words)


@pytest.mark.parametrize(
    ("key", "meant"), [("n_epoch", "n_epochs"), ("beta_robustnes", "beta_robustness"), ("sead", None)]
)
def test_a_key_that_looks_like_a_setting_is_none(key, meant):
    point = digits_mlp.make() | {key: 1}
    if meant is None:
        digits_mlp.check(point)
        return
    with pytest.raises(InputError, match=f"no setting '{key}', which would be ignored: write '{meant}'"):
        digits_mlp.check(point)


def test_other_keys_are_free():
    keys = ("method", "level", "noise", "noise_mode", "n_draws", "n_samples", "trained", "parameters", "size")
    ecg_lsnn.check(ecg_lsnn.make() | dict.fromkeys(keys, 1))


def test_a_check_leaves_the_accelerator_to_those_who_train():
    code = """
from jax._src import xla_bridge
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp
digits_mlp.check(digits_mlp.make() | {"noisy_forward_params": "w1"})
assert not xla_bridge.backends_are_initialized()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gradient_is_missed_by_the_parameter_attack_alone():
    settings = "-boundary_loss=madry -treat_as_constant=1"
    with pytest.raises(InputError, match="no gradient"):
        check(f"digits_mlp {settings}")
    check(f"digits_mlp {settings} -awp=1 -beta_robustness=0")
    check(f"digits_mlp {settings} -hessian_robustness=1")
    same = {"boundary_loss": "madry", "treat_as_constant": True}
    for setting, kind in (
        ({"awp": True, "beta_robustness": 0.0}, AdversarialWeights),
        ({"hessian_robustness": True}, GradientDifference),
    ):
        regularized = method_of(digits_mlp.make() | same | setting)
        assert isinstance(regularized, FiringRates)
        assert isinstance(regularized.base, kind)


def test_numbers_without_a_rule_are_finite_and_at_least_0():
    settings = {"size": Setting(1.0, ""), "shift": Setting(1.0, "", allowed=Finite())}
    check_values({"size": 0.0, "shift": -1.0}, settings, "it")
    for size in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="size must be finite and at least 0"):
            check_values({"size": size, "shift": 0.0}, settings, "it")


def test_limits_and_choices_read_as_a_sentence():
    assert str(Finite(above=0, below=1)) == "finite and above 0 and below 1"
    assert 0.5 in Finite(above=0, below=1)
    assert 1.0 not in Finite(above=0, below=1)
    assert str(OneOf(("a", "b"))) == "one of a, b"
    assert str(OneOf((0,), ", as there is nothing else")) == "0, as there is nothing else"


def test_words_are_spelt_out_as_the_library_has_them():
    """The settings import no JAX, so they repeat the names of losses, optimizers, noises and so on."""
    known = {
        "optimizer": OPTIMIZERS,
        "boundary_loss": BOUNDARY_LOSSES,
        "p_norm": get_args(Norm),
        "augmentation": AUGMENTATIONS,
        "noisy_forward_mode": NOISE_MODES,
        "dropout_mask": get_args(DropoutMask),
        "neuron_parameters": NEURON_PARAMETERS,
        "precision": get_args(Precision),
        "start": get_args(Start),
        "normalisation": get_args(Normalization),
        "keep": get_args(Keep),
    }
    seen = set()
    for family in FAMILIES.values():
        for name, setting in family.settings.items():
            if isinstance(setting.allowed, OneOf) and name != "dropout_prob":
                assert setting.allowed.values == tuple(known[name]), name
                seen.add(name)
    assert seen == set(known)
    assert list(FAMILY_WORDS) == list(FAMILIES)
