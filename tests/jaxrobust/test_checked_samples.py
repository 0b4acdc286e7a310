"""Labels and inputs are checked at every entry, and what is not a number is never a right answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.attacks.robust_loss import robust_loss
from jaxrobust.certificates.propagation import output_bounds
from jaxrobust.certificates.verification import box_around, verified_accuracy
from jaxrobust.criteria import CrossEntropy, Hinge, SoftTargets, SquaredError
from jaxrobust.data.dataset import Examples
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES
from jaxrobust.measures.full_set import cross_entropy, divergence_from, logits_of
from jaxrobust.measures.mismatch import accuracy, mismatch_accuracies, perturbed_devices
from jaxrobust.measures.spectra import hessian_spectrum
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Standard
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training

pytestmark = pytest.mark.usefixtures("quick_compilation")

X = jax.random.normal(jax.random.key(0), (9, 3))
Y = jnp.argmax(X, -1)
P, KEY = jnp.eye(3), jax.random.key(1)


def apply(p, x):
    return x @ p


MEASURES = {
    "accuracy": lambda x, y: accuracy(apply, P, x, y),
    "accuracy by a criterion": lambda x, y: accuracy(apply, P, x, y, score=Hinge(1.0).score),
    "mismatch": lambda x, y: mismatch_accuracies(apply, P, x, y, KEY, level=0.1, n_draws=2),
    "worst case": lambda x, y: worst_case(apply, P, x, y, KEY, ParameterAttack(0.1, n_steps=2)).accuracy,
    "verification": lambda x, y: verified_accuracy(
        lambda box, x: output_bounds(apply, box, x), box_around(P, 0.1), x, y
    ),
    "spectrum": lambda x, y: hessian_spectrum(cross_entropy(apply, x, y), P, KEY, n_steps=2).nodes,
}
BAD_LABELS = {
    "a column": Y[:, None],
    "one-hot": jax.nn.one_hot(Y, 3),
    "one-hot, as many samples as classes": jax.nn.one_hot(jnp.arange(9), 9, dtype=int),
    "fractions": Y / 2,
    "words": ["a"] * 9,
    "too few": Y[:5],
    "too many": jnp.concatenate([Y, Y]),
    "one number": jnp.int32(1),
}
OUT_OF_RANGE = {"from 1": Y + 1, "-1 for none": jnp.where(Y == 0, -1, Y), "255 for none": Y + 253}


@pytest.mark.parametrize("kind", BAD_LABELS)
@pytest.mark.parametrize("measure", MEASURES)
def test_labels_of_another_form_are_refused_everywhere(measure, kind):
    with pytest.raises(InputError, match=r"[Ll]abels"):
        MEASURES[measure](X, BAD_LABELS[kind])


@pytest.mark.parametrize("kind", OUT_OF_RANGE)
@pytest.mark.parametrize("measure", [name for name in MEASURES if name != "verification"])
def test_labels_out_of_range_are_refused_everywhere(measure, kind):
    with pytest.raises(InputError, match=r"has 3 outputs, for the classes 0 to 2"):
        MEASURES[measure](X, OUT_OF_RANGE[kind])


def test_labels_out_of_range_verify_nothing():
    """A certificate takes bounds, which may come from anywhere: there is no network to ask."""
    shares = [MEASURES["verification"](X, labels) for labels in (Y, Y + 3)]
    assert shares[0] > 0
    assert shares[1] == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_gaps_in_the_inputs_are_refused(measure):
    with pytest.raises(InputError, match="1 numbers that are NaN or infinite"):
        MEASURES[measure](X.at[2, 1].set(jnp.nan), Y)


def test_lists_and_other_whole_numbers_are_welcome():
    expected = MEASURES["accuracy"](X, Y)
    assert MEASURES["accuracy"](X.tolist(), Y.tolist()) == expected
    assert MEASURES["accuracy"](np.asarray(X), np.asarray(Y, np.uint8)) == expected


def test_a_sample_without_a_finite_answer_is_wrong_whatever_its_label():
    labels = jnp.arange(9) % 3
    for value in (jnp.nan, jnp.inf):
        assert accuracy(lambda p, x, value=value: x @ p + value, P, X, labels) == 0
    masked = jnp.array([0.0, 0.0, -jnp.inf])
    expected = jnp.mean(jnp.argmax(X[:, :2], -1) == labels)
    assert accuracy(lambda p, x: x @ p + masked, P, X, labels) == pytest.approx(float(expected))


def test_a_device_that_overflows_has_failed_and_is_reported():
    def of(scale):
        return perturbed_devices(
            lambda p, x: jnp.exp(scale * (x @ p)),
            P,
            X,
            Y,
            KEY,
            perturb=GaussianMismatch(0.1).perturb,
            n_draws=3,
        )

    sound, failed = of(1.0), of(1e3)
    assert sound.unanswered.tolist() == [0, 0, 0]
    assert min(sound.accuracies) > 0.8
    overflowing = jnp.mean(jnp.max(X, -1) > 0.1)  # exp(88.7) is the largest float32
    assert failed.unanswered == pytest.approx(float(overflowing), abs=0.12)
    assert max(failed.accuracies + failed.unanswered) <= 1


@pytest.mark.parametrize(
    ("broken", "how"),
    [
        ("inputs", {}),
        pytest.param("w_rec", {}, marks=pytest.mark.slow),
        pytest.param("w_in", {"readout": "each_step"}, marks=pytest.mark.slow),
        pytest.param("inputs", {"neuron_parameters": ("tau",)}, marks=pytest.mark.slow),
    ],
)
def test_a_spiking_network_does_not_swallow_nan(broken, how):
    net = LSNN(3, 4, n_hidden=5, **how)
    parameters, inputs = net.init(KEY).parameters, jax.random.normal(KEY, (2, 6, 3))
    assert jnp.isfinite(net.forward(parameters, {}, inputs).logits).all()
    if broken == "inputs":
        logits = net.forward(parameters, {}, inputs.at[0, 1, 0].set(jnp.nan)).logits
        assert jnp.isnan(logits[0]).all()
        assert jnp.isfinite(logits[1]).all()
    else:
        damaged = {**parameters, broken: parameters[broken].at[0, 1].set(jnp.nan)}
        assert jnp.isnan(net.forward(damaged, {}, inputs).logits).any(-1).all()


def examples(shift=0, n=14, inputs=None):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((n, 4)).astype("f4") if inputs is None else inputs
    return Examples(inputs, (np.arange(n) % 7 + shift).astype("i4"))


def train_on(train_set, validation_set, tmp_path):
    how = {"optimizer": "adam", "batch_size": 7, "seed": 0, "eval_step_interval": 2, "folder": tmp_path}
    return train(
        [Training(MLP(4, (5,), 7), Standard(), Phases((1.0,), (1e-3,)), **how)], train_set, validation_set
    )


@pytest.mark.parametrize(
    ("train_shift", "validation_shift", "part"),
    [(1, 1, "training"), (-1, -1, "training"), (0, 50, "validation")],
)
def test_training_diagnoses_bad_labels_as_bad_labels(train_shift, validation_shift, part, tmp_path):
    with pytest.raises(InputError, match=f"labels of the {part} set"):
        train_on(examples(train_shift), examples(validation_shift), tmp_path)


def test_training_diagnoses_gaps_and_emptiness(tmp_path):
    gap = examples().inputs.copy()
    gap[3, 2] = np.nan
    with pytest.raises(InputError, match="inputs of the training set hold 1 numbers"):
        train_on(examples(inputs=gap), examples(), tmp_path)
    with pytest.raises(InputError, match="training set is empty"):
        train_on(examples(n=0), examples(), tmp_path)
    (trained,) = train_on(examples(), examples(), tmp_path)
    assert trained.n_steps == 2


MASK = jnp.array([False, True, False])


@pytest.mark.parametrize("name", DIVERGENCES)
def test_masked_classes_count_as_nothing(name):
    def masked(p, x):
        return jnp.where(MASK, -jnp.inf, x @ p)

    def without(p, x):
        return (x @ p)[:, jnp.array([0, 2])]

    def value(of):
        return lambda p: DIVERGENCES[name](of(P, X), of(p, X)) + DIVERGENCES[name](of(p, X), of(P, X))

    other = P + 0.3 * jax.random.normal(KEY, (3, 3))
    found, found_gradient = jax.value_and_grad(value(masked))(other)
    expected, expected_gradient = jax.value_and_grad(value(without))(other)
    assert found == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(found_gradient, expected_gradient, atol=1e-6)
    if name != "kl":
        return
    robust, gradient = jax.value_and_grad(
        lambda p: robust_loss(masked, p, X, KEY, ParameterAttack(0.1, n_steps=2), boundary_loss=name)
    )(P)
    assert jnp.isfinite(robust)
    assert jnp.isfinite(gradient).all()


def test_masked_classes_in_soft_targets():
    logits = jnp.where(MASK, -jnp.inf, X)
    loss, gradient = jax.value_and_grad(lambda z: SoftTargets().loss(jnp.where(MASK, -jnp.inf, z), logits))(X)
    expected = SoftTargets().loss(X[:, ::2], X[:, ::2])
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert jnp.isfinite(gradient).all()


def test_whole_set_functions_check_their_inputs():
    for function in (
        lambda x: logits_of(apply, P, x),
        lambda x: divergence_from(apply, P, x)(P),
        lambda x: cross_entropy(apply, x, Y)(P),
    ):
        function(X)
        with pytest.raises(InputError, match="NaN or infinite"):
            function(X.at[0, 0].set(jnp.inf))


def test_targets_of_a_regression_are_no_classes():
    score = SquaredError().score
    assert accuracy(apply, P, X, X, score=score) == 0
    assert accuracy(apply, P, X, X + 1, score=score) == pytest.approx(-1)
    assert accuracy(apply, P, X, Y, score=CrossEntropy().score) == 1
