"""Leaves that are no float32 arrays are left alone, computed in float32, or one sentence with the path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.certificates.verification import box_around
from jaxrobust.errors import InputError
from jaxrobust.measures.spectra import hessian_spectrum
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.faults import BitFlips, Quantization, StuckAt
from jaxrobust.perturbations.mismatch import (
    BoxCorner,
    GaussianMismatch,
    LogNormalMismatch,
    WeightRangeNoise,
)
from jaxrobust.perturbations.phase_change_memory import PhaseChangeMemory

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
PERTURBATIONS = [
    GaussianMismatch(0.1),
    LogNormalMismatch(0.1),
    WeightRangeNoise(0.1),
    BoxCorner(0.1),
    Quantization(3),
    BitFlips(0.5, 4),
    StuckAt(0.9),
    PhaseChangeMemory(),
]


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda p: type(p).__name__)
def test_only_floating_point_leaves_are_perturbed(perturbation):
    weights = jax.random.normal(KEY, (4, 3))
    others = {
        "step": jnp.arange(3),
        "mask": np.array([True, False]),
        "key": jax.random.key(7),
        "nothing": None,
        "empty": jnp.zeros((0, 3)),
        "count": 5,
        "flag": True,
    }
    found = perturbation.perturb(KEY, {"w": weights, **others})
    assert found["w"].shape == (4, 3)
    assert jnp.any(found["w"] != weights)
    for name, leaf in others.items():
        assert found[name] is leaf, name
    scalar = perturbation.perturb(KEY, {"w": 0.5})["w"]
    assert jnp.isfinite(scalar)
    assert scalar.shape == ()


@pytest.mark.parametrize(
    "perturbation", PERTURBATIONS[:3] + PERTURBATIONS[4:5], ids=lambda p: type(p).__name__
)
def test_a_function_among_the_leaves_is_named(perturbation):
    with pytest.raises(InputError, match=r"\['layers'\]\[1\] is a function, no array"):
        perturbation.perturb(KEY, {"layers": [jnp.ones(2), lambda x: x]})


@pytest.mark.parametrize("leaf", [jnp.arange(2), np.array([True]), jax.random.key(0), 3])
def test_what_needs_derivatives_names_the_leaf_without(leaf):
    tree = {"w": jnp.ones(3), "opt": {"step": leaf}}
    with pytest.raises(InputError, match=r"An attack needs .* but \['opt'\]\['step'\] is "):
        attack(lambda p: jnp.sum(p["w"]), tree, KEY, ParameterAttack(0.1))
    with pytest.raises(InputError, match=r"A spectrum needs .* but \['opt'\]\['step'\] is "):
        hessian_spectrum(lambda p: jnp.sum(p["w"] ** 2), tree, KEY, n_steps=1)


def test_a_box_holds_whole_numbers_exactly():
    box = box_around({"w": jnp.ones(2), "step": jnp.arange(2)}, 0.5)
    assert box.lower["step"].tolist() == box.upper["step"].tolist() == [0, 1]
    assert box.upper["w"] == pytest.approx([1.5, 1.5])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("bits", [4, 18])
def test_half_precision_is_quantized_in_float32(dtype, bits):
    x = jax.random.normal(KEY, (50,)).astype(dtype)
    wide = x.astype(jnp.float32)
    for perturbation in (Quantization(bits), BitFlips(0.0, bits)):
        found = perturbation.perturb(KEY, x)
        assert found.dtype == dtype
        expected = perturbation.perturb(KEY, wide).astype(dtype)
        np.testing.assert_array_equal(found, expected)
        step = (wide.max() - wide.min()) / (2**bits - 1)
        assert jnp.abs(found.astype(jnp.float32) - wide).max() <= step + jnp.finfo(dtype).eps * 4


def test_settings_from_numpy_are_numbers_and_are_checked():
    assert ParameterAttack(np.float32(0.1), n_steps=np.int64(5)).n_steps == 5
    for size in (np.float32(-0.3), np.float32("nan"), -1):
        with pytest.raises(InputError, match="relative_size of ParameterAttack must be a finite number"):
            ParameterAttack(size)
    for kind in (Quantization, lambda bits: BitFlips(0.1, bits)):
        with pytest.raises(InputError, match="whole number"):
            kind(4.5)
        kind(np.int64(4))


NETWORKS = {
    "LSNN": (LSNN(2, 3, n_hidden=4), (2, 6, 2)),
    "MLP": (MLP(4, (3,), 2), (2, 4)),
}


@pytest.mark.parametrize("dtype", [bool, np.uint8, jnp.bfloat16])
@pytest.mark.parametrize(("network", "shape"), [NETWORKS["LSNN"], NETWORKS["MLP"]], ids=["LSNN", "MLP"])
def test_the_parameters_decide_the_dtype_not_the_inputs(network, shape, dtype):
    inputs = (jax.random.uniform(KEY, shape) < 0.5).astype(dtype)
    variables = network.init(KEY)
    found = network.forward(*variables, inputs).logits
    expected = network.forward(*variables, inputs.astype(jnp.float32)).logits
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)


def test_a_sequence_of_no_time_step_is_refused():
    network = LSNN(2, 3, n_hidden=4)
    with pytest.raises(InputError, match="give at least one time step"):
        network.forward(*network.init(KEY), jnp.ones((1, 0, 2)))
